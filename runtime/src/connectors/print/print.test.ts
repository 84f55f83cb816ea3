// How records look on standard output.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperatorMetricGroup } from '../../task-manager/operator-metric-group.ts';
import { formatRecord } from './format-record.ts';
import { printTo } from './print.ts';

const context = {
  lineageId: 'default/test',
  token: { epoch: 1, executionAttempt: 1 },
  uid: 'out',
  subtaskIndex: 1,
  metrics: new OperatorMetricGroup('out'),
};

test('records are printed as people read them', () => {
  const cases: readonly (readonly [unknown, string])[] = [
    ['as it is', 'as it is'],
    [{ word: 'hello', count: 2 }, '(hello,2)'],
    [{ a: { b: 1, c: 'x' }, d: [1, 'y'] }, '((1,x),[1, y])'],
    [42, '42'],
    [9n, '9'],
    [null, 'null'],
    [undefined, 'undefined'],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [Uint8Array.of(1, 255), '01ff'],
    [new Map([['a', 1]]), '{a=1}'],
    [new Set(['a', 'b']), '{a, b}'],
  ];
  for (const [record, text] of cases) {
    assert.equal(formatRecord(record), text);
  }
});

test('a line names its subtask when there are several', () => {
  let text = '';
  const sink = printTo((written) => {
    text += written;
  });
  sink.createWriter({ ...context, parallelism: 3 }).write([{ word: 'a', count: 1 }, 'b']);
  sink.createWriter({ ...context, parallelism: 1, subtaskIndex: 0 }).write(['c']);
  assert.equal(text, '2> (a,1)\n2> b\nc\n');
});

test('output that cannot be written is an error with a remedy', () => {
  const writer = printTo(() => {
    throw new Error('EPIPE');
  }).createWriter({ ...context, parallelism: 1 });
  assert.throws(() => writer.write(['lost']), { code: 'StandardOutputUnwritable' });
});
