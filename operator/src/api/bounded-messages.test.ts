import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundedMessage, messageLengthMax, withBoundedMessages } from './bounded-messages.ts';

test('of a message that is too long head and tail stay, and nothing more is cut from it later', () => {
  const bounded = boundedMessage(`what happened: ${'x'.repeat(1_000_000)} because of this`);
  assert.ok(bounded.length <= messageLengthMax);
  assert.match(bounded, /^what happened: x+ \[…\d+ characters left out…\] x+ because of this$/);
  assert.equal(boundedMessage(bounded), bounded);
});

test('no half of a character is left behind', () => {
  for (const shift of ['', 'x']) {
    assert.ok(boundedMessage(`${shift}${'😀'.repeat(messageLengthMax)}`).isWellFormed());
  }
});

test('every message in a status is bounded, however deep, and ids and paths are not touched', () => {
  const long = 'x'.repeat(messageLengthMax + 1);
  const status = {
    path: long,
    conditions: [{ type: 'Ready', message: long }],
    history: [{ id: 1, problem: { code: 'A', message: 'short', remedy: long } }],
  };
  const bounded = withBoundedMessages(status);
  assert.equal(bounded.path, long);
  assert.equal(bounded.conditions[0]?.message, boundedMessage(long));
  assert.equal(bounded.history[0]?.problem.remedy, boundedMessage(long));
});

test('a status in which nothing is too long stays the very same', () => {
  const status = { error: { code: 'A', message: 'short' }, conditions: [] };
  assert.equal(withBoundedMessages(status), status);
});
