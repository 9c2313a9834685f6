// Unpacks the packaged Chromium and prints the path of its binary.
import { createRequire } from "node:module";

const require = createRequire(process.argv[2] + "/package.json");
const { default: chromium } = await import(require.resolve("@sparticuz/chromium"));
console.log(await chromium.executablePath());
