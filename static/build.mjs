// Bundles our css and js into static/build/. `oppman.py collectstatic` names them by their content and adds the rest.
import { writeFileSync, mkdirSync } from "node:fs";
import { build } from "esbuild";
import { bundle } from "lightningcss";

mkdirSync("static/build", { recursive: true });

await build({
  entryPoints: {
    app: "static/src/js/app.js",
    admin: "static/src/js/admin.js",
    api_docs: "static/src/js/api_docs.js",
    sw: "static/src/js/sw.js",
    passkeys: "static/src/js/passkeys.js",
    chat: "static/src/js/chat.js",
    files: "static/src/js/files.js",
  },
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2020"],
  legalComments: "none",
  outdir: "static/build",
  logLevel: "warning",
});

for (const name of ["app.css", "account.css", "acting.css", "admin.css", "audit.css", "chat.css", "files.css", "monitor.css", "told.css"]) {
  const { code } = bundle({
    filename: `static/src/css/${name}`,
    minify: true,
    // Phones of about 2020: nesting and light-dark() are written out for them.
    targets: { chrome: 87 << 16, firefox: 84 << 16, safari: 14 << 16, ios_saf: 14 << 16 },
  });
  writeFileSync(`static/build/${name}`, code);
}
