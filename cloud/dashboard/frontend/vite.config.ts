import { defineConfig } from "vite";

// What pages name stands in manifest.json, by its source; cloud/dashboard/assets.py reads it. Names carry a digest of the
// content, so that browsers may keep the files for ever.
export default defineConfig({
  base: "/assets/",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    assetsDir: "",
    assetsInlineLimit: 0,
    manifest: "manifest.json",
    modulePreload: { polyfill: false },
    rolldownOptions: { input: ["src/shell.ts", "src/live.ts"] },
    target: "es2022",
    cssTarget: ["chrome125", "firefox128", "safari18"], // the first that all know light-dark()
  },
});
