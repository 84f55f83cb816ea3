import { defineJob, type KeyedProcessContext, keyedProcess, state, t } from '@flinkjob/runtime';
import { countingSink } from './counting-sink.ts';
import { indexSource } from './index-source.ts';
import { KeySequence } from './key-sequence.ts';

interface Counted {
  readonly word: string;
  readonly count: number;
}

const count = keyedProcess({
  state: { count: state.value(t.int) },
  element(word: string, ctx: KeyedProcessContext<string, Counted>, { count }) {
    const after = (count.get() ?? 0) + 1;
    count.set(after);
    ctx.emit({ word, count: after });
  },
});

/** Counts words as fast as it can; the counterpart of flink/…/KeyedCountJob.java. */
export default defineJob<{ seed: string; keys: string; progress: string }>(({ env, args }) => {
  const keys = new KeySequence({ seed: Number(args.seed), keyCount: Number(args.keys) });
  env
    .source(indexSource({ type: t.string, recordAt: (index) => `word${keys.keyAt(index)}` }), { uid: 'words' })
    .keyBy((word) => word, t.string)
    .process(count, { uid: 'counts', type: t.struct({ word: t.string, count: t.int }) })
    .sink(countingSink({ progressDirectory: args.progress, describe: ({ word, count }) => `${word} ${count}` }), { uid: 'sink' });
});
