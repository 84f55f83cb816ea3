import { datagen, defineJob, fileSink, type KeyedProcessContext, keyedProcess, state, t } from '@flinkjob/runtime';

interface Event {
  readonly key: string;
  readonly sequence: number;
}

// Counts per key, with so much beside each count that the state fills files of its own. `rate` records in a second, or as many as there is time for.
export default defineJob(({ env, args }) => {
  const rate = args.rate === undefined ? {} : { recordsPerSecond: Number(args.rate) };
  env
    .source(datagen({ seed: 7, splits: 4, keys: 400, count: Number(args.count ?? 800), ...rate }), { uid: 'events' })
    .keyBy((event) => event.key, t.string)
    .process(counts, { uid: 'counts', type: t.string })
    .sink(fileSink({ path: args.out ?? '' }), { uid: 'out' });
});

const counts = keyedProcess({
  state: { counted: state.value(t.struct({ count: t.int, padding: t.bytes })) },
  element(event: Event, ctx: KeyedProcessContext<string, string>, { counted }) {
    const count = (counted.get()?.count ?? 0) + 1;
    counted.set({ count, padding: padding(event.key) });
    ctx.emit(`${event.key} ${count} ${event.sequence === count - 1}`);
  },
});

/** Nothing that compresses. */
function padding(key: string): Uint8Array {
  let value = Number(key.slice('key-'.length)) + 1;
  return Uint8Array.from({ length: 1000 }, () => {
    value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return value >>> 24;
  });
}
