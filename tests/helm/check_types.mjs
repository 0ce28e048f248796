// Checks manifests (JSON on stdin: [{where, manifest}…]) against the types of Kubernetes and of the operators' own kinds. Words: folder with node_modules.
// Two ways, since each sees what the other does not: the JSON schemas (wrong types, missing fields) at run time, and TypeScript literals (unknown keys).
// Prints one line for each mistake; exit 1 if there is one.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const tools = process.argv[2];
const given = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(join(tools, "package.json"));

const PACKAGES = { "monitoring.coreos.com": "@kubernetes-models/prometheus-operator", "keda.sh": "@kubernetes-models/keda" };

function moduleOf(apiVersion) {
  const [group] = apiVersion.split("/");
  if (PACKAGES[group]) return `${PACKAGES[group]}/${apiVersion}`;
  return `kubernetes-models/${apiVersion}`;
}

const mistakes = [];
const folder = mkdtempSync(join(tools, "types-"));
try {
  const imports = new Map();
  const literals = [];
  const lines = [];
  for (const { where, manifest } of given) {
    const from = `${moduleOf(manifest.apiVersion)}/${manifest.kind}`;
    let model;
    try {
      model = (await import(pathToFileURL(join(tools, "node_modules", `${from}.js`))))[manifest.kind];
    } catch (error) {
      mistakes.push(`${where}: there is no ${manifest.kind} of ${manifest.apiVersion}: ${error.message}`);
      continue;
    }
    try {
      new model(manifest).validate();
    } catch (error) {
      mistakes.push(`${where}: ${error.message}`);
    }
    const alias = `${manifest.kind}_${manifest.apiVersion.replace(/[^A-Za-z0-9]/g, "_")}`;
    imports.set(alias, `import type { I${manifest.kind} as ${alias} } from ${JSON.stringify(from)};`);
    literals.push(`export const m${literals.length}: ${alias} = ${JSON.stringify(manifest)};`);
    lines.push(where);
  }
  const file = join(folder, "manifests.ts");
  writeFileSync(file, [...imports.values(), ...literals].join("\n"));
  const words = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext", "--pretty", "false", file];
  const tsc = spawnSync(process.execPath, [require.resolve("typescript/lib/tsc.js"), ...words], { encoding: "utf8", cwd: tools });
  for (const line of tsc.stdout.split("\n")) {
    const found = line.match(/manifests\.ts\((\d+),\d+\): error \S+ (.*)$/);
    if (found) mistakes.push(`${lines[Number(found[1]) - imports.size - 1] ?? "?"}: ${found[2].slice(0, 400)}`);
  }
  if (tsc.status !== 0 && mistakes.length === 0) mistakes.push(`tsc: ${tsc.stdout}${tsc.stderr}`);
} finally {
  rmSync(folder, { recursive: true });
}
for (const mistake of mistakes) console.log(mistake);
console.log(`${given.length} manifests, ${mistakes.length} mistakes`);
process.exit(mistakes.length === 0 ? 0 : 1);
