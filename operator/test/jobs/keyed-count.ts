import { type DatagenRecord, datagen, defineJob, fileSink, keyedProcess, state, t } from '@flinkjob/runtime';

/**
 * Counts per key and carries a running hash over the records seen, so that one lost, doubled or reordered record changes every later
 * line of its key.
 */
const countAndHash = keyedProcess({
  state: { seen: state.value(t.struct({ count: t.int, hash: t.int })) },
  element(event: DatagenRecord, ctx, { seen }) {
    const before = seen.get() ?? { count: 0, hash: 17 };
    const after = { count: before.count + 1, hash: (Math.imul(before.hash, 31) + event.value) >>> 0 };
    seen.set(after);
    ctx.emit(`${event.key} ${after.count} ${after.hash}`);
  },
});

export default defineJob(({ env, args }) => {
  env
    .source(
      datagen({
        seed: Number(args.seed),
        splits: 4,
        keys: Number(args.keys ?? 40),
        count: Number(args.count),
        ...(args.recordsPerSecond === undefined ? {} : { recordsPerSecond: Number(args.recordsPerSecond) }),
      }),
      { uid: 'events' },
    )
    .keyBy((event) => event.key, t.string)
    .process(countAndHash, { uid: 'counts' })
    .sink(fileSink({ path: args.out }), { uid: 'files' });
});
