import { datagen, defineJob, keyedProcess, print, state, t } from '@flinkjob/runtime';

const versions = {
  v1: t.struct({ count: t.field(1, t.int), note: t.field(2, t.string) }),
  v2: t.struct({ count: t.field(1, t.double), remark: t.field(2, t.string), since: t.field(3, t.string, { default: 'v1' }) }),
  v3: t.struct({ count: t.field(1, t.double), since: t.field(3, t.string), seen: t.field(4, t.optional(t.bigint)) }),
  broken: t.struct({ count: t.field(1, t.string), since: t.field(3, t.string) }),
} as const;

// A count per key in a struct that each version of the job declares in another way; the first lines of each run say what was restored.
export default defineJob<{ version: 'v1' | 'v2' | 'v3' | 'broken' }>(({ env, args }) => {
  const { version } = args;
  const fresh = {
    v1: { count: 0, note: 'made by v1' },
    v2: { count: 0, remark: 'made by v2', since: 'v2' },
    v3: { count: 0, since: 'v3', seen: 1n },
    broken: { count: '', since: '' },
  }[version];
  const count = keyedProcess({
    state: { total: state.value(versions[version] as typeof versions.v1) },
    element(key: string, ctx, { total }) {
      const before = total.get();
      const shown = JSON.stringify(before, (_name, value) => (typeof value === 'bigint' ? `${value}n` : value));
      ctx.emit(`${version} ${key} ${shown}`);
      // From the second version on a count may be no whole number.
      const step = version === 'v1' ? 1 : 0.5;
      total.set({ ...(before ?? (fresh as never)), count: (before?.count ?? 0) + step } as never);
    },
  });
  env
    .source(datagen({ generate: (index) => `key-${index % 5}`, type: t.string, recordsPerSecond: 200 }), { uid: 'keys' })
    .keyBy((key) => key, t.string)
    .process(count, { uid: 'totals', type: t.string })
    .sink(print(), { uid: 'out' });
});
