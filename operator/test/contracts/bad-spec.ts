/** What somebody may write, and the answers. */
export interface BadSpec {
  readonly what: string;
  /** On top of a good FlinkJob: values by path; undefined takes the field away. */
  readonly set: Readonly<Record<string, unknown>>;
  /** Of the API server, after `FlinkJob.flinkjob.dev "words" is invalid: `; undefined when it takes it. */
  readonly server: string | undefined;
  /** Of `flinkjob apply`, and in the status of a FlinkJob that the API server took: message and remedy of each problem; none when it is fine there. */
  readonly controller: readonly (readonly [message: string, remedy: string])[];
}

type Fields = Record<string, unknown>;

/** The good one, made bad. */
export function flinkJobOf({ set }: Pick<BadSpec, 'set'>): Fields {
  const flinkJob: Fields = {
    apiVersion: 'flinkjob.dev/v1alpha1',
    kind: 'FlinkJob',
    metadata: { name: 'words' },
    spec: {
      image: 'registry.example/words:1',
      job: { module: '/app/words.js' },
      state: { checkpointStorage: 's3://bucket/jobs' },
    },
  };
  for (const [path, value] of Object.entries(set)) {
    const names = path.split('.');
    const last = names.pop() as string;
    const parent = names.reduce<Fields>((at, name) => {
      at[name] ??= {};
      return at[name] as Fields;
    }, flinkJob);
    if (value === undefined) {
      delete parent[last];
    } else {
      parent[last] = value;
    }
  }
  return flinkJob;
}
