import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultsRefusals } from '../../test/contracts/bad-defaults.ts';
import { parseDefaults } from './parse-defaults.ts';

test('a part of a spec is taken as it is written', () => {
  const text = 'checkpoints: { intervalSeconds: 30 }\npodTemplate:\n  envFrom: [{ secretRef: { name: bucket } }]\n';
  assert.deepEqual(parseDefaults('streams', { spec: text }), {
    state: 'Usable',
    spec: { checkpoints: { intervalSeconds: 30 }, podTemplate: { envFrom: [{ secretRef: { name: 'bucket' } }] } },
  });
});

test('an empty text says nothing', () => {
  assert.deepEqual(parseDefaults('streams', { spec: '# nothing yet\n' }), { state: 'None' });
});

for (const { what, data, message, remedy } of defaultsRefusals) {
  test(`${what} is answered in words`, () => {
    const parsed = parseDefaults('streams', data);
    assert.deepEqual(parsed, { state: 'Unusable', problem: { code: 'DefaultsUnusable', message, remedy } });
  });
}

test('aliases that would grow beyond all measure are refused', () => {
  const lines = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 10; level += 1) {
    const [below, here] = ['abcdefghij'[level - 1], 'abcdefghij'[level]];
    lines.push(`${here}: &${here} [${Array(10).fill(`*${below}`).join(', ')}]`);
  }
  const parsed = parseDefaults('streams', { spec: lines.join('\n') });
  assert.equal(parsed.state, 'Unusable');
});
