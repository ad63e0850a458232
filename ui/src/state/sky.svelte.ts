import { remember, remembered } from './desk.svelte'
import { focus } from './focus.svelte'

const KEY = 'elixirscope.sky'

/** Whether the constellation is shown in space. */
class Sky {
  on = $state(remembered(KEY).on === true)

  toggle(): void {
    this.on = !this.on
    remember(KEY, { on: this.on })
    focus.show('constellation')
  }
}

export const sky3d = new Sky()
