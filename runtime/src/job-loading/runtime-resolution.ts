import { registerHooks } from 'node:module';

/** The name by which job modules import the runtime's API. */
const runtimePackage = '@flinkjob/runtime';

/** Beside this file in either form: sources run as `.ts`, the built package as `.js`. */
const apiUrl = new URL(`../api/index.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url).href;

let registered = false;

/**
 * Makes `@flinkjob/runtime` mean this process's own API for every module in this thread, wherever the module is. A job module need not
 * have the package installed, and when it has, there is still one instance: a second one would have other classes and another version.
 */
export function resolveRuntimeToThisProcess(): void {
  if (registered) {
    return;
  }
  registered = true;
  registerHooks({
    resolve: (specifier, context, nextResolve) =>
      specifier === runtimePackage ? { url: apiUrl, shortCircuit: true } : nextResolve(specifier, context),
  });
}
