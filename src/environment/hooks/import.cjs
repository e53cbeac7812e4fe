// Lets `import` find packages through NODE_PATH, as Lambda's nodejs18.x and later do.
//
// A stock Node.js looks for a bare name (`import x from "name"`) beside the code and in the directories above it, and nowhere
// else. What is not found there is looked for in the node_modules directories of NODE_PATH, in their order. require() knows
// NODE_PATH by itself.
"use strict";

const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { register, registerHooks } = require("node:module");

const isBare = (specifier) => !/^(?:\.{0,2}\/|#|[A-Za-z][A-Za-z0-9+.-]*:)/.test(specifier);
// Code in the directory beside a node_modules finds what is in it.
const parents = (process.env.NODE_PATH ?? "")
  .split(path.delimiter)
  .filter((directory) => path.basename(directory) === "node_modules")
  .map((directory) => pathToFileURL(path.join(path.dirname(directory), "import.mjs")).href);

const isMissing = (error) => error?.code === "ERR_MODULE_NOT_FOUND";

if (registerHooks) {
  registerHooks({
    resolve(specifier, context, nextResolve) {
      try {
        return nextResolve(specifier, context);
      } catch (error) {
        if (!isMissing(error) || !isBare(specifier)) throw error;
        for (const parentURL of parents) {
          try {
            return nextResolve(specifier, { ...context, parentURL });
          } catch (another) {
            if (!isMissing(another)) throw another;
          }
        }
        throw error;
      }
    },
  });
} else if (register) {
  // Older ones resolve on a thread of its own, which gets the same as source.
  const source = `
    const isMissing = ${isMissing};
    const isBare = ${isBare};
    const parents = ${JSON.stringify(parents)};
    export async function resolve(specifier, context, nextResolve) {
      try {
        return await nextResolve(specifier, context);
      } catch (error) {
        if (!isMissing(error) || !isBare(specifier)) throw error;
        for (const parentURL of parents) {
          try {
            return await nextResolve(specifier, { ...context, parentURL });
          } catch (another) {
            if (!isMissing(another)) throw another;
          }
        }
        throw error;
      }
    }`;
  register(`data:text/javascript,${encodeURIComponent(source)}`);
}
