import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { JobError } from '../core/job-error.ts';

/** What went wrong while a job module was imported: its syntax, its imports, or its own code. */
export async function translateImportError(error: unknown, module: string): Promise<JobError> {
  if (error instanceof JobError) {
    return withPlace(error);
  }
  const { code } = error as { readonly code?: unknown };
  const message = messageOf(error);
  const place = findPlace(error) ?? module;
  switch (code) {
    case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX':
      return moduleError(error, 'ModuleSyntaxUnsupported', `${place}: ${firstLine(message)}`, [
        'TypeScript runs here by having its types removed, so enums, namespaces, parameter properties and decorators cannot be used:',
        'write them in plain JavaScript (the compiler option erasableSyntaxOnly finds them), or compile the job to JavaScript first.',
      ]);
    case 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING':
      return moduleError(error, 'ModuleSyntaxUnsupported', `${place}: TypeScript files inside node_modules cannot be run`, [
        'Move the job module out of node_modules, or compile it to JavaScript.',
      ]);
    case 'ERR_MODULE_NOT_FOUND':
    case 'ERR_PACKAGE_PATH_NOT_EXPORTED':
    case 'ERR_UNSUPPORTED_DIR_IMPORT':
    case 'MODULE_NOT_FOUND':
      return moduleError(error, 'ModuleImportMissing', `an import of ${module} was not found: ${message}`, [
        'Install the package beside the job module, or correct the path (relative imports need their file extension).',
      ]);
    case 'ERR_UNKNOWN_FILE_EXTENSION':
      return moduleError(error, 'ModuleExtensionUnknown', `${module} is neither .ts nor .js nor .mjs`, ['Rename it.']);
    default:
  }
  if (error instanceof SyntaxError && message.includes('does not provide an export')) {
    const remedy = 'Correct the name, or the version of what is imported.';
    return moduleError(error, 'ModuleImportMissing', `${place}: ${firstLine(message)}`, [remedy]);
  }
  if (error instanceof SyntaxError) {
    const found = findPlace(error) ?? (await findSyntaxErrorPlace(module)) ?? module;
    return moduleError(error, 'ModuleSyntaxInvalid', `${found}: ${firstLine(message)}`, ['Correct the syntax.']);
  }
  return moduleError(error, 'ModuleFailed', `${place} threw while it was loaded: ${message}`, [
    'Correct the module; it is loaded in every process of the job, before any record.',
  ]);
}

/** What went wrong inside the function given to `defineJob`. */
export function translateBuildError(error: unknown, module: string): JobError {
  if (error instanceof JobError) {
    return withPlace(error);
  }
  return moduleError(
    error,
    'JobBuildFailed',
    `${findPlace(error) ?? module} threw while the job was built: ${messageOf(error)}`,
    ['Correct the function given to defineJob, or the args that it was given.'],
  );
}

function moduleError(cause: unknown, code: string, message: string, remedy: readonly string[]): JobError {
  return new JobError(message, { domain: 'user', retry: 'never', code, remedy: remedy.join(' '), cause });
}

function withPlace(error: JobError): JobError {
  const place = findPlace(error);
  if (place === undefined) {
    return error;
  }
  const { code, domain, retry, remedy } = error;
  return new JobError(`${place}: ${error.message}`, { code, domain, retry, remedy, cause: error });
}

const runtimeDirectory = fileURLToPath(new URL('../', import.meta.url));

/** Syntax errors put the place into the first line of their stack, alone. Frames have it at their end, of CommonJS modules as a path. */
const placePattern = /^(\/.*):(\d+)$|(?:^|[\s(])((?:file:\/\/)?\/[^\s()]+?):(\d+)/gm;

/** `path:line` of the first line in the author's files; a stack names the runtime's own files too, and these help nobody. */
function findPlace(error: unknown): string | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  for (const [, firstPath, firstPathLine, found, foundLine] of stack.matchAll(placePattern)) {
    const place = firstPath ?? found ?? '';
    const path = place.startsWith('file:') ? fileURLToPath(place) : place;
    if (!path.startsWith(runtimeDirectory)) {
      return `${path}:${firstPathLine ?? foundLine}`;
    }
  }
  return undefined;
}

/**
 * The syntax error of an ES module does not say its line to who imports the module, only to who reads the standard error of a process
 * that ended by it. Undefined when the error is in another file, which this one imports.
 */
function findSyntaxErrorPlace(module: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--check', module], { timeout: checkTimeoutMs }, (_error, _output, errorOutput) => {
      resolve(/^\/.*:\d+$/m.exec(errorOutput)?.[0]);
    });
  });
}

const checkTimeoutMs = 10_000;

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
