import type { Component } from 'svelte'
import type { Panel } from '../lib/panels'
import Calls from './Calls.svelte'
import Causes from './Causes.svelte'
import Code from './Code.svelte'
import Constellation from './Constellation.svelte'
import Find from './Find.svelte'
import Findings from './Findings.svelte'
import Flow from './Flow.svelte'
import Messages from './Messages.svelte'
import Notebook from './Notebook.svelte'
import Processes from './Processes.svelte'
import Query from './Query.svelte'
import Stack from './Stack.svelte'
import State from './State.svelte'
import Tests from './Tests.svelte'
import Values from './Values.svelte'
import Why from './Why.svelte'

/** The component of every panel that `lib/panels.ts` lists. */
export const components: Record<Panel, Component> = {
  findings: Findings,
  processes: Processes,
  tests: Tests,
  messages: Messages,
  calls: Calls,
  constellation: Constellation,
  causes: Causes,
  flow: Flow,
  query: Query,
  find: Find,
  code: Code,
  state: State,
  values: Values,
  stack: Stack,
  why: Why,
  notebook: Notebook,
}
