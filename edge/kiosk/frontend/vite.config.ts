import { defineConfig } from "vite";

// One bundle, served by the gateway itself under /static/: no inline script, no CDN, nothing to fetch later.
export default defineConfig({
  base: "/static/",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    assetsDir: "",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
});
