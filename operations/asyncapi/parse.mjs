// Parses an AsyncAPI file, and prints what the parser reports as a JSON array.
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const { diagnostics } = await new Parser().parse(await readFile(process.argv[2], "utf8"));
console.log(JSON.stringify(diagnostics));
