import { datagen, defineJob, keyedProcess, operatorState, print, state, t } from '@flinkjob/runtime';

const owner = t.struct({ subtask: t.int, of: t.int, knew: t.int });

// Numbers without end from one source. Every subtask of `seen` keeps those that it has had, and says at its start how many subtasks there were before; those of
// `counts` count their records, beside a count by key.
export default defineJob(({ env }) => {
  env
    .source(datagen({ generate: (index) => index, type: t.int, splits: 1, recordsPerSecond: 500 }), { uid: 'numbers' })
    .process(
      {
        operatorState: { seen: operatorState.list(t.int), owners: operatorState.unionList(owner) },
        initialize({ subtaskIndex, parallelism }, { owners }) {
          owners.set([{ subtask: subtaskIndex, of: parallelism, knew: owners.get().length }]);
        },
        element(record, ctx, { seen }) {
          seen.add(record);
          ctx.emit(record);
        },
      },
      { uid: 'seen', type: t.int },
    )
    .keyBy((record) => record % 10, t.int)
    .process(
      keyedProcess({
        state: { count: state.value(t.int) },
        operatorState: { total: operatorState.list(t.int) },
        element(record: number, ctx, { count }, { total }) {
          count.set((count.get() ?? 0) + 1);
          total.set([total.get().reduce((sum, part) => sum + part, 1)]);
          ctx.emit(record);
        },
      }),
      { uid: 'counts', type: t.int },
    )
    .sink(print(), { uid: 'out' });
});
