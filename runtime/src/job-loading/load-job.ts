import { stat } from 'node:fs/promises';
import { basename, extname, isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { JobDefinition } from '../api/define-job.ts';
import type { JobSourceConfig } from '../api/process-config.ts';
import type { ExecutableJob } from '../core/job-graph/executable-job.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import { className, describeValue } from '../core/types/value-mismatch.ts';
import { translateBuildError, translateImportError } from './job-module-error.ts';
import { resolveRuntimeToThisProcess } from './runtime-resolution.ts';

/** For what a module awaits while it is loaded or builds its job; longer than any look-up, shorter than a person's patience. */
const loadTimeoutMs = 60_000;

/**
 * Imports the job module (`.ts`, `.js`, `.mjs`) and builds its job. Whatever is wrong with either is a `JobError` that says where. A
 * process loads a module once: a new version needs a new process.
 */
export async function loadJob(config: JobSourceConfig): Promise<ExecutableJob> {
  const { module, args, parallelism, maxParallelism } = config;
  await checkModuleFile(module);
  resolveRuntimeToThisProcess();
  const url = pathToFileURL(module).href;
  const loaded = await withinTime(import(url), module).catch(async (error: unknown) => {
    throw await translateImportError(error, module);
  });
  const definition = findDefinition(loaded, module);
  const options = { name: basename(module, extname(module)), parallelism, maxParallelism };
  return withinTime(definition.build(args, options), module).catch((error: unknown) => {
    throw translateBuildError(error, module);
  });
}

async function checkModuleFile(module: string): Promise<void> {
  if (!isAbsolute(module)) {
    throw invalidJob('ModulePathInvalid', `the job module ${module} is not an absolute path`, 'Give the whole path, from /.');
  }
  const found = await stat(module).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error) {
    throw found.code === 'ENOENT' || found.code === 'ENOTDIR'
      ? invalidJob(
          'ModuleMissing',
          `there is no job module ${module}`,
          'Check the path, and that the image or directory contains it.',
        )
      : invalidJob('ModuleUnreadable', `the job module ${module} cannot be read: ${found.message}`, 'Make it readable.');
  }
  if (!found.isFile()) {
    throw invalidJob('ModuleMissing', `the job module ${module} is not a file`, 'Name the file that exports the job.');
  }
}

function findDefinition(loaded: unknown, module: string): JobDefinition {
  const exported = (loaded as { readonly default?: unknown }).default;
  if (exported === undefined || isEmptyObject(exported)) {
    const names = Object.keys(loaded as object).filter((name) => name !== 'default' && name !== 'module.exports');
    throw invalidJob(
      'DefaultExportMissing',
      `${module} has no default export${names.length === 0 ? '' : `; it exports ${names.join(', ')}`}`,
      'Export the job: export default defineJob(({ env, args }) => { … }).',
    );
  }
  if (!(exported instanceof JobDefinition)) {
    throw invalidJob(
      'NotAJob',
      `the default export of ${module} is ${describeValue(exported)}`,
      "Export what defineJob of '@flinkjob/runtime' returns: export default defineJob(({ env, args }) => { … }).",
    );
  }
  return exported;
}

/** What a file without any export gives: Node takes it for CommonJS. */
function isEmptyObject(exported: unknown): boolean {
  return (
    typeof exported === 'object' && exported !== null && Object.keys(exported).length === 0 && className(exported) === undefined
  );
}

async function withinTime<T>(work: Promise<T>, module: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const waited = `${module} was not loaded within ${loadTimeoutMs / 1000} seconds`;
      reject(invalidJob('ModuleTimedOut', waited, 'Look for an await in it that never ends.'));
    }, loadTimeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
