import { expect, it } from 'vitest'
import { whenWritten } from './written'

it('calls back all who still want it, in their order, after what is under way', async () => {
  const said: string[] = []
  const done = new Promise<void>((resolve) => {
    whenWritten(() => said.push('first'))
    whenWritten(() => said.push('never'))()
    whenWritten(() => {
      said.push('last')
      resolve()
    })
  })
  await Promise.resolve().then(() => said.push('written'))
  await done
  expect(said).toEqual(['written', 'first', 'last'])
})
