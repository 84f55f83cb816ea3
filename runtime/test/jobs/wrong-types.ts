import { datagen, defineJob, keyedProcess, print, state, t } from '@flinkjob/runtime';

const wrong = (value: unknown): never => value as never;

// Gives something that is not of its declared type; what, the argument says.
export default defineJob<{ what: string }>(({ env, args }) => {
  const { what } = args;
  const keep = keyedProcess({
    state: { total: state.value(t.struct({ sum: t.int })), byName: state.map(t.string, t.int), seen: state.list(t.int) },
    element(word: string, _ctx, { total, byName, seen }) {
      total.set(what === 'value' ? wrong({ sum: word }) : { sum: 1 });
      byName.set(what === 'mapKey' ? wrong(5) : word, what === 'mapValue' ? wrong('much') : 1);
      seen.add(what === 'element' ? wrong('one') : 1);
    },
  });
  env
    .source(datagen({ generate: (index) => `word-${index % 3}`, type: t.string, count: 10 }), { uid: 'words' })
    .keyBy((word) => (what === 'key' ? wrong(7) : word), t.string)
    .process(keep, { uid: 'totals' })
    .sink(print(), { uid: 'out' });
});
