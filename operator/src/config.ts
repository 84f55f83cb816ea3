import path from 'node:path';
import { parseArgs } from 'node:util';
import { JobError } from '@flinkjob/runtime/rest';
import { z } from 'zod';
import { nearestName } from './api/nearest-name.ts';

// How `flinkjob-operator` is started. Read once; nothing looks at the environment later, but for what names a kubeconfig or the API server, which is
// read as kubectl reads it.

const dnsLabel = z
  .string()
  .regex(
    /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
    'has to be a name as Kubernetes has them: lower-case letters, digits and dashes',
  );
const dnsName = z
  .string()
  .max(253)
  .regex(
    /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/,
    'has to be a name as Kubernetes has them: lower-case letters, digits, dashes and dots',
  );

const common = { logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info') };

const ProcessConfig = z.strictObject({
  ...common,
  platform: z.literal('process'),
  /** Everything that the process platform keeps but checkpoint storage. */
  workDirectory: z
    .string({ error: 'is missing: a directory of its own for what the controller keeps' })
    .min(1)
    .transform((directory) => path.resolve(directory)),
});
export type ProcessConfig = Readonly<z.infer<typeof ProcessConfig>>;

const KubernetesConfig = z.strictObject({
  ...common,
  platform: z.literal('kubernetes'),
  /** The only ones whose FlinkJobs are looked after; all of them when absent. */
  namespaces: z
    .string()
    .transform((text) => [...new Set(text.split(','))])
    .pipe(z.array(dnsLabel))
    .optional(),
  kubeconfig: z.string().min(1).optional(),
  /** Default: where the operator itself is. */
  leaseNamespace: dnsLabel.optional(),
  leaseName: dnsName.default('flinkjob-operator'),
  /**
   * A shorter one than 3 s is lost to a pause of a busy machine; a longer one than ten minutes leaves jobs alone for as long after a crash. With the default another replica leads within 15 s:
   * it looks every two seconds, and counts from what it has seen.
   */
  leaseDurationSeconds: z
    .string()
    .transform(Number)
    .pipe(z.int('has to be a whole number of seconds').min(3, 'has to be 3 or more').max(600, 'has to be 600 at the most'))
    .default(12),
  /** Absent: neither probes nor metrics are served. */
  httpAddress: z
    .string()
    .transform((text, context) => parseAddress(text) ?? refuse(context, 'has to be host:port, as 0.0.0.0:8080 or [::]:8080'))
    .optional(),
  /** Default: the uid of the namespace kube-system. It is the first part of `clusterId/namespace/name`, who owns a lineage. */
  clusterId: z
    .string()
    .regex(/^[-.\w]{1,128}$/, 'has to be 1 to 128 letters, digits, dashes, dots or underscores')
    .optional(),
  /** Absent: jobs are started without keys. */
  rootKeyDirectory: z.string().min(1).optional(),
  /** Not shorter than what a Secret takes to reach every pod, and that twice. */
  keyPeriodSeconds: z
    .string()
    .transform(Number)
    .pipe(
      z
        .int('has to be a whole number of seconds')
        .min(600, 'has to be 600 or more')
        .max(2_592_000, 'has to be 2592000 at the most'),
    )
    .default(86_400),
  /** From whose pods the metrics of jobs may be read. */
  metricsNamespaces: z
    .string()
    .transform((text) => [...new Set(text.split(','))])
    .pipe(z.array(dnsLabel))
    .optional(),
  /** From the environment; default: the name of the host. */
  podName: dnsName.optional(),
});
export type KubernetesConfig = Readonly<z.infer<typeof KubernetesConfig>>;

interface Option {
  readonly platform: 'process' | 'kubernetes' | 'both';
  readonly value: string;
  readonly help: string;
}

/** By the name on the command line, which is that of the field in kebab case. */
const options: Readonly<Record<string, Option>> = {
  platform: {
    platform: 'both',
    value: 'process|kubernetes',
    help: 'where the processes of jobs run; process unless told',
  },
  'log-level': { platform: 'both', value: 'debug|info|warn|error', help: 'info unless told' },
  'work-dir': { platform: 'process', value: 'DIR', help: 'where FlinkJobs and the records of their processes are kept' },
  namespaces: { platform: 'kubernetes', value: 'A,B', help: 'only FlinkJobs in these; all namespaces unless told' },
  kubeconfig: {
    platform: 'kubernetes',
    value: 'FILE',
    help: 'outside of the cluster; else KUBECONFIG, the service account of the pod, ~/.kube/config',
  },
  'lease-namespace': { platform: 'kubernetes', value: 'NAME', help: 'of the leader lease; that of the operator unless told' },
  'lease-name': { platform: 'kubernetes', value: 'NAME', help: 'one per installation; flinkjob-operator unless told' },
  'lease-duration-seconds': {
    platform: 'kubernetes',
    value: 'N',
    help: 'how long after a crash of the leader the next one waits; 12 unless told',
  },
  'http-address': {
    platform: 'kubernetes',
    value: 'HOST:PORT',
    help: 'serves /livez, /healthz, /readyz and /metrics; not at all unless told',
  },
  'cluster-id': {
    platform: 'kubernetes',
    value: 'ID',
    help: 'who owns lineages; the uid of the namespace kube-system unless told',
  },
  'root-key-dir': {
    platform: 'kubernetes',
    value: 'DIR',
    help: 'with a file current, from which jobs get keys of their own, and next and previous while it is replaced; no keys unless told',
  },
  'key-period-seconds': {
    platform: 'kubernetes',
    value: 'N',
    help: 'how long the keys of a job are used before the next ones; 86400 unless told',
  },
  'metrics-namespaces': {
    platform: 'kubernetes',
    value: 'A,B',
    help: 'from whose pods /metrics of jobs may be read, beside those of the operator',
  },
};

const usage = `flinkjob-operator --work-dir DIR                    over local processes
flinkjob-operator --platform kubernetes [options]   in a cluster, or beside it with a kubeconfig`;

export function helpText(): string {
  const lines = Object.entries(options).map(([name, { platform, value, help }]) => {
    const where = platform === 'both' ? '' : ` (${platform})`;
    return `  --${name} ${value}\n        ${help}${where}`;
  });
  return `${usage}\n\n${lines.join('\n')}\n  --help\n\nEnvironment: POD_NAME, the name that this replica has in the lease and in events; that of the host unless told.\n`;
}

export function readConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): ProcessConfig | KubernetesConfig {
  const values = parseOptions(args);
  const platform = values['platform'] ?? 'process';
  if (platform !== 'process' && platform !== 'kubernetes') {
    throw unusable(`--platform=${platform}: has to be process or kubernetes`);
  }
  const foreign = Object.keys(values).find((name) => ![platform, 'both'].includes(options[name]?.platform ?? ''));
  if (foreign !== undefined) {
    throw unusable(`--${foreign} has no meaning with --platform=${platform}`);
  }
  const named = Object.fromEntries(Object.entries(values).map(([name, value]) => [fieldOf(name), value]));
  if (platform === 'process') {
    return parse(ProcessConfig, { ...named, platform });
  }
  const podName = environment['POD_NAME'];
  return parse(KubernetesConfig, { ...named, platform, ...(podName === undefined ? {} : { podName }) });
}

function parseOptions(args: readonly string[]): Readonly<Record<string, string>> {
  const known = Object.fromEntries(Object.keys(options).map((name) => [name, { type: 'string' as const }]));
  try {
    const { values } = parseArgs({ args: [...args], options: known });
    return values as Readonly<Record<string, string>>;
  } catch (cause) {
    const unknown = args.map((arg) => /^--([^=]+)/.exec(arg)?.[1]).find((name) => name !== undefined && !(name in options));
    const near = unknown === undefined ? undefined : nearestName(unknown, Object.keys(options));
    const meant = near === undefined ? '' : `; is --${near} meant?`;
    throw unusable(`${unknown === undefined ? (cause as Error).message : `--${unknown} is no option`}${meant}`, cause);
  }
}

function parse<T>(schema: z.ZodType<T>, input: unknown): Readonly<T> {
  const parsed = schema.safeParse(input);
  if (parsed.success) {
    return Object.freeze(parsed.data);
  }
  const said = parsed.error.issues.map(({ path: [field], message }) => {
    const name = String(field);
    return `${name === 'podName' ? 'the environment variable POD_NAME' : `--${optionOf(name)}`} ${message}`;
  });
  throw unusable([...new Set(said)].join('; '), parsed.error);
}

function unusable(what: string, cause?: unknown): JobError {
  return new JobError(`the arguments cannot be used: ${what}`, {
    ...{ domain: 'user', retry: 'never', code: 'InvalidArguments', cause },
    remedy: `Usage:\n${usage}\n--help says which options there are.`,
  });
}

function fieldOf(option: string): string {
  const shortened: Readonly<Record<string, string>> = { 'work-dir': 'workDirectory', 'root-key-dir': 'rootKeyDirectory' };
  return shortened[option] ?? option.replace(/-(\w)/g, (_dash, letter: string) => letter.toUpperCase());
}

function optionOf(field: string): string {
  return Object.keys(options).find((name) => fieldOf(name) === field) ?? field;
}

function parseAddress(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, bracketed, plain, port = ''] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  return host === undefined || Number(port) > 65_535 ? undefined : { host, port: Number(port) };
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}
