import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [svelte()],
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
  test: { include: ['src/**/*.test.ts'], environment: 'node', css: true },
})
