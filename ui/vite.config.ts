import { readFileSync } from 'node:fs'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

/** The licences of the fonts go with them. */
const licences: Plugin = {
  name: 'licences-of-fonts',
  generateBundle() {
    for (const font of ['inter', 'jetbrains-mono']) {
      const source = readFileSync(`node_modules/@fontsource-variable/${font}/LICENSE`, 'utf8')
      this.emitFile({ type: 'asset', fileName: `assets/${font}-LICENSE.txt`, source })
    }
  },
}

export default defineConfig({
  plugins: [svelte(), licences],
  // Relative addresses: the page works under whatever path it is served from.
  base: './',
  build: {
    outDir: '../src/elixirscope/web/static',
    emptyOutDir: true,
    target: 'es2022',
    // The server's content security policy allows no data: scripts or styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/api': process.env.CINEMA ?? 'http://127.0.0.1:4040' } },
  test: { include: ['src/**/*.test.ts'], environment: 'node', css: true, testTimeout: 60_000 },
})
