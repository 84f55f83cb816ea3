import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { FlinkJobManifest } from '../api/flink-job.ts';
import type { Problem } from '../api/flink-job-status.ts';
import { annotations } from '../api/labels.ts';
import { parseFlinkJob } from '../api/parse-flink-job.ts';
import { copyModule, type ModuleCopy } from './module-copy.ts';
import { readModuleFiles } from './module-files.ts';
import { formatYamlProblem, parseYaml, type YamlPath, type YamlSource } from './yaml-source.ts';

/** A FlinkJob read from a YAML file, ready to be applied; or what is wrong with it, as lines for people. */
export type FlinkJobFile =
  | {
      readonly ok: true;
      readonly manifest: FlinkJobManifest;
      /** The YAML file and the module's files: a change of one of them may be a change of the job. */
      readonly watchedFiles: readonly string[];
      readonly code: ModuleCopy;
      /** Where `spec.job.parallelism` stands, or belongs. */
      readonly parallelismLine: number | undefined;
    }
  | {
      readonly ok: false;
      readonly problem: readonly string[];
      /** As far as they are known; always the YAML file itself. */
      readonly watchedFiles: readonly string[];
    };

/**
 * Reads, checks and completes a FlinkJob: relative paths become absolute (they count from the YAML file's directory), the
 * module becomes a copy of its code at this moment, and the digest of that code goes into an annotation: changed code is a new revision.
 */
export async function loadFlinkJobFile(
  fileName: string,
  options: { readonly modulesDirectory: string; readonly namespace?: string | undefined },
): Promise<FlinkJobFile> {
  const read = await readFlinkJobYaml(fileName, options);
  const file = path.resolve(fileName);
  const failed = (problem: readonly string[], watchedFiles = [file]): FlinkJobFile => ({ ok: false, problem, watchedFiles });
  if (!read.ok) {
    return failed(read.problem);
  }
  const { manifest, source, place } = read;
  const directory = path.dirname(file);
  const module = path.resolve(directory, manifest.spec.job.module);
  const files = await readModuleFiles(module).catch((error: unknown) => error as NodeJS.ErrnoException);
  if (files instanceof Error) {
    const message = `spec.job.module: ${files.code === 'ENOENT' ? 'there is no file' : `cannot read (${files.code})`} ${module}`;
    const remedy = `The path counts from the directory of this file, ${directory}.`;
    return failed(place(['spec', 'job', 'module'], { message, remedy }), [file, module]);
  }
  const code = await copyModule(files, options.modulesDirectory);
  return {
    ok: true,
    manifest: completed(manifest, { directory, source: module, module: code.module, digest: files.digest }),
    watchedFiles: [file, ...files.files],
    code,
    parallelismLine: source.position(['spec', 'job', 'parallelism'], 'key')?.line,
  };
}

/** A FlinkJob as it is written in a file, checked, with defaults; or what is wrong with it, as lines for people. */
export type FlinkJobYaml =
  | {
      readonly ok: true;
      readonly manifest: FlinkJobManifest;
      readonly source: YamlSource;
      /** What is wrong with the field there, with its line. */
      readonly place: (path: YamlPath, problem: Omit<Problem, 'code'>) => readonly string[];
    }
  | { readonly ok: false; readonly problem: readonly string[] };

/** `namespace` is the one that was asked for on the command line; `defaultNamespace` serves where neither that nor the file names one. */
export async function readFlinkJobYaml(
  fileName: string,
  options: { readonly namespace?: string | undefined; readonly defaultNamespace?: string },
): Promise<FlinkJobYaml> {
  const file = path.resolve(fileName);
  const text = await readFile(file, 'utf8').catch((error: unknown) => error as NodeJS.ErrnoException);
  const failed = (problem: readonly string[]): FlinkJobYaml => ({ ok: false, problem });
  if (typeof text !== 'string') {
    return failed(unreadable(fileName, text));
  }
  const yaml = parseYaml(text);
  if (!yaml.ok && /\.[cm]?[jt]s$/.test(file)) {
    return failed([
      `${fileName}: this is a job module, and a FlinkJob in YAML is wanted here`,
      `  Run the module alone with: flinkjob run ${fileName}; or name it as spec.job.module in a YAML file.`,
    ]);
  }
  if (!yaml.ok) {
    return failed(yaml.problems.flatMap((problem) => formatYamlProblem(fileName, text, problem)));
  }
  const parsed = parseFlinkJob(yaml.source.value);
  if (!parsed.ok) {
    return failed(
      withoutEchoes(parsed.problems).flatMap((problem) => formatProblem({ problem, fileName, text, source: yaml.source })),
    );
  }
  const place = (path: YamlPath, problem: Omit<Problem, 'code'>) =>
    formatYamlProblem(fileName, text, {
      line: undefined,
      column: undefined,
      remedy: undefined,
      ...yaml.source.position(path, 'value'),
      ...problem,
    });
  const namespace = chooseNamespace(yaml.source.value, options);
  if (namespace === undefined) {
    return failed(
      place(['metadata', 'namespace'], {
        message: `metadata.namespace is ${parsed.value.metadata.namespace}, but --namespace says ${options.namespace}`,
        remedy: 'Leave one of the two out.',
      }),
    );
  }
  const metadata = { ...parsed.value.metadata, namespace };
  return { ok: true, manifest: { ...parsed.value, metadata }, source: yaml.source, place };
}

function completed(
  manifest: FlinkJobManifest,
  facts: {
    readonly directory: string;
    readonly source: string;
    readonly module: string;
    readonly digest: string;
  },
): FlinkJobManifest {
  const { metadata, spec } = manifest;
  return {
    ...manifest,
    metadata: {
      ...metadata,
      annotations: {
        ...metadata.annotations,
        [annotations.moduleDigest]: facts.digest,
        [annotations.moduleSource]: facts.source,
        [annotations.workingDirectory]: facts.directory,
      },
    },
    spec: {
      ...spec,
      job: { ...spec.job, module: facts.module },
      restore: completedRestore(spec.restore, facts.directory),
      state: { ...spec.state, checkpointStorage: absoluteFileUrl(spec.state.checkpointStorage, facts.directory) },
    },
  };
}

function completedRestore(restore: FlinkJobManifest['spec']['restore'], directory: string): FlinkJobManifest['spec']['restore'] {
  return restore.path === undefined ? restore : { ...restore, path: absoluteFileUrl(restore.path, directory) };
}

/** `file:./a b` and `file:///tmp/a%20b` → `file:///…`. Other schemes stay as they are. */
export function absoluteFileUrl(url: string, directory: string): string {
  if (!url.startsWith('file:')) {
    return url;
  }
  const location = url.startsWith('file://') ? fileURLToPath(url) : path.resolve(directory, url.slice('file:'.length));
  return pathToFileURL(location).href;
}

/** What the file says, or the option; undefined when they contradict each other. */
function chooseNamespace(
  value: unknown,
  {
    namespace: option,
    defaultNamespace = 'default',
  }: { readonly namespace?: string | undefined; readonly defaultNamespace?: string },
): string | undefined {
  const metadata = (value as { readonly metadata?: { readonly namespace?: unknown } }).metadata;
  const written = typeof metadata?.namespace === 'string' ? metadata.namespace : undefined;
  if (written !== undefined && option !== undefined && written !== option) {
    return undefined;
  }
  return written ?? option ?? defaultNamespace;
}

function unreadable(fileName: string, error: NodeJS.ErrnoException): readonly string[] {
  switch (error.code) {
    case 'ENOENT':
      return [
        `${fileName}: there is no such file`,
        '  Give the path of a FlinkJob in YAML, such as examples/word-count/word-count.yaml.',
      ];
    case 'EISDIR':
      return [`${fileName}: this is a directory`, '  Give the path of the YAML file in it.'];
    default:
      return [`${fileName}: cannot be read (${error.code ?? error.message})`, '  Check its permissions.'];
  }
}

/** Messages of the schema begin with the field's path; here it gets its place in the file. */
const fieldPath = /^([A-Za-z][\w-]*(?:\.[\w-]+|\[\d+\])*): /;

function formatProblem(input: {
  readonly problem: Problem;
  readonly fileName: string;
  readonly text: string;
  readonly source: YamlSource;
}): readonly string[] {
  const { problem, fileName, text, source } = input;
  const path = fieldPath
    .exec(problem.message)?.[1]
    ?.split(/[.[\]]+/)
    .filter(Boolean);
  const of = problem.code === 'UnknownField' ? 'key' : 'value';
  const place = path === undefined ? undefined : source.position(path, of);
  return formatYamlProblem(fileName, text, {
    message: problem.message,
    remedy: problem.remedy,
    line: place?.line,
    column: place?.column,
  });
}

/** A mistyped name is also a missing field; one mistake gets one message. */
function withoutEchoes(problems: readonly Problem[]): readonly Problem[] {
  return problems.filter(({ code, message }) => {
    const field = fieldPath.exec(message)?.[1];
    return (
      code !== 'MissingField' ||
      !problems.some((other) => other.code === 'UnknownField' && other.remedy === `Did you mean ${field}?`)
    );
  });
}
