// Declaring state: what becomes of a declaration, what is refused, and what the compiler infers of reducing and aggregating states and of
// times to live. The rest of the inference is in type-inference.test.ts; what the handles do in state-backend/conformance.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { t } from '../core/types/t.ts';
import { keyedProcess } from './keyed-process.ts';
import { type AggregateFunction, type AggregatingState, type ReducingState, state, toStateImplementation } from './state.ts';

type Equal<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;

function same<A, B>(equal: Equal<A, B>): void {
  assert.equal(equal, true);
}

const average = {
  accumulator: t.struct({ sum: t.double, count: t.int }),
  create: () => ({ sum: 0, count: 0 }),
  add: (accumulator: { sum: number; count: number }, value: number) => ({
    sum: accumulator.sum + value,
    count: accumulator.count + 1,
  }),
  result: ({ sum, count }: { sum: number; count: number }) => `${sum / count}`,
};

const everyHour = { ttl: { seconds: 3600, renewedBy: 'ReadAndWrite' } } as const;

const definitions = {
  last: state.value(t.int, { ttl: { seconds: 0.5 } }),
  words: state.list(t.string, everyHour),
  byName: state.map(t.string, t.int, everyHour),
  highest: state.reducing(t.int, (a, b) => Math.max(a, b)),
  average: state.aggregating(average, everyHour),
  inline: state.aggregating({
    accumulator: t.array(t.string),
    create: () => [],
    add(words, word: string) {
      words.push(word);
      return words;
    },
    result: (words) => words.length,
  }),
};
const implementations = Object.entries(definitions).map(([name, definition]) => toStateImplementation(name, definition));

test('handles have the types of their declarations', () => {
  keyedProcess({
    state: definitions,
    element(_record: string, _ctx, handles) {
      same<typeof handles.highest, ReducingState<number>>(true);
      same<typeof handles.average, AggregatingState<number, string>>(true);
      same<typeof handles.inline, AggregatingState<string, number>>(true);
      const result: string | undefined = handles.average.get();
      handles.highest.add(result?.length ?? 0);
      // @ts-expect-error: numbers are added
      handles.average.add('1');
      // @ts-expect-error: there is only add
      handles.highest.set(1);
    },
  });
  // @ts-expect-error: the function must give what it is given
  state.reducing(t.int, (a, b) => `${a}${b}`);
  // @ts-expect-error: the accumulator is of its declared type
  state.aggregating({ ...average, create: () => 0 });
  // @ts-expect-error: not a moment that renews
  assert.throws(() => state.value(t.int, { ttl: { seconds: 1, renewedBy: 'Read' } }));
});

test('a declaration becomes what is stored with checkpoints', () => {
  const hour = { ttlMs: 3_600_000, renewedBy: 'ReadAndWrite' };
  assert.deepEqual(
    implementations.map(({ declaration }) => declaration),
    [
      { name: 'last', ttl: { ttlMs: 500, renewedBy: 'Write' }, stateType: 'value', valueType: { type: 'int' } },
      { name: 'words', ttl: hour, stateType: 'list', elementType: { type: 'string' } },
      { name: 'byName', ttl: hour, stateType: 'map', mapKeyType: { type: 'string' }, valueType: { type: 'int' } },
      { name: 'highest', stateType: 'reducing', valueType: { type: 'int' } },
      { name: 'average', ttl: hour, stateType: 'aggregating', accumulatorType: average.accumulator.descriptor },
      { name: 'inline', stateType: 'aggregating', accumulatorType: { type: 'array', element: { type: 'string' } } },
    ],
  );
});

test('reducing and aggregating states bring their functions', () => {
  const [highest, averageOf] = implementations.flatMap(({ aggregate }) => aggregate ?? []);
  assert.equal(highest?.createAccumulator, undefined);
  assert.equal(highest?.add(3, 2), 3);
  assert.equal(highest?.getResult(3), 3);
  const one = averageOf?.add(averageOf.createAccumulator?.(), 5);
  assert.deepEqual(one, { sum: 5, count: 1 });
  assert.equal(averageOf?.getResult(one), '5');
});

test('the functions of an aggregate keep what the author wrote as their this', () => {
  const scaled = {
    factor: 10,
    accumulator: t.int,
    create: () => 0,
    add(accumulator: number, value: number) {
      return accumulator + value * this.factor;
    },
    result: (accumulator: number) => accumulator,
  };
  const { aggregate } = toStateImplementation('scaled', state.aggregating(scaled));
  assert.equal(aggregate?.add(1, 2), 21);
});

test('functions that are missing are refused', () => {
  assert.throws(() => state.reducing(t.int, unchecked(undefined)), { code: 'FunctionMissing', message: /its reduce function$/u });
  assert.throws(() => state.aggregating(unchecked<Aggregate>({ ...average, result: 5 })), {
    code: 'FunctionMissing',
    message: /the number 5 as its result$/u,
  });
  assert.throws(() => state.aggregating(unchecked<Aggregate>(undefined)), { code: 'TypeMissing' });
  assert.throws(() => state.aggregating(unchecked<Aggregate>({ ...average, accumulator: undefined })), { code: 'TypeMissing' });
});

test('impossible times to live are refused', () => {
  for (const seconds of [0, -1, 0.0001, Number.NaN, Number.POSITIVE_INFINITY, 1e12, '60', undefined, null]) {
    assert.throws(() => state.value(t.int, unchecked({ ttl: { seconds } })), { code: 'StateTtlInvalid' }, String(seconds));
  }
  assert.throws(() => state.list(t.int, unchecked({ ttl: { seconds: 1, renewedBy: 'Read' } })), {
    code: 'StateTtlInvalid',
    message: 'the ttl of state.list(…) has the string "Read" as what renews it',
  });
});

test('options that nobody knows are refused', () => {
  const unknown = { code: 'StateOptionUnknown' };
  assert.throws(() => state.value(t.int, unchecked({ TTL: 5 })), { ...unknown, message: 'state.value(…) has no option "TTL"' });
  assert.throws(() => state.map(t.int, t.int, unchecked({ ttl: { seconds: 1, renewBy: 'Write' } })), unknown);
  assert.throws(() => state.value(t.int, unchecked({ ttl: 60 })), unknown);
  assert.throws(() => state.value(t.int, unchecked('1 h')), unknown);
});

type Aggregate = AggregateFunction<unknown, unknown, unknown>;

/** For what only JavaScript authors can do. */
function unchecked<T>(value: unknown): T {
  return value as T;
}
