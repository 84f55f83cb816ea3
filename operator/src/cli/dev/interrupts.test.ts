import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Keyboard, listenForInterrupts } from './interrupts.ts';

test('each Ctrl-C is one wish to end, also one that came before it was waited for; other keys are none', async () => {
  let press: (bytes: Uint8Array) => void = () => assert.fail('nobody listens');
  let raw = false;
  const keyboard: Keyboard = {
    isTTY: true,
    setRawMode: (on) => {
      raw = on;
    },
    resume: () => undefined,
    on: (_event, listener) => {
      press = listener;
    },
  };
  const next = listenForInterrupts({ keyboard });
  assert(raw);
  press(Uint8Array.of(0x61, 0x0d));
  let ended = 0;
  const first = next().then(() => ended++);
  await Promise.resolve();
  assert.equal(ended, 0);
  press(Uint8Array.of(0x03, 0x03));
  await first;
  await next();
  assert.equal(ended, 1);
});
