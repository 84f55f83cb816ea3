// Keys of jobs from a root key, and the root key's own life. What tokens prove with them is the runtime's test.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { silentLog } from '../log.ts';
import { deriveJobKeys } from './derive-job-keys.ts';
import { periodsOf } from './held-keys.ts';
import { JobCredentials } from './job-credentials.ts';
import { ensureRootKey, openRootKeys, type RootKeys } from './root-keys.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'root-keys-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const root = (text: string): RootKeys => ({ current: Buffer.from(text.repeat(20)), next: undefined, previous: undefined });
const job = { namespace: 'streams', name: 'words', uid: 'uid-1' };
const period = periodsOf({ period: 1_000 });
const nextPeriod = periodsOf({ period: 1_001 });
const idsOf = ({ current, others }: ReturnType<typeof deriveJobKeys>) => [current, ...others].map(({ id }) => id);

test('keys are the same for whoever has the root key, and others for every job, incarnation, period and root key', () => {
  const secretOf = (keys: ReturnType<typeof deriveJobKeys>) => keys.current.secret.toString('hex');
  const mine = secretOf(deriveJobKeys(root('ab'), job, period));
  assert.equal(secretOf(deriveJobKeys(root('ab'), { ...job }, [1_000])), mine);
  const others = [
    deriveJobKeys(root('ac'), job, period),
    deriveJobKeys(root('ab'), { ...job, namespace: 'other' }, period),
    deriveJobKeys(root('ab'), { ...job, name: 'other' }, period),
    deriveJobKeys(root('ab'), { ...job, uid: 'uid-2' }, period),
    deriveJobKeys(root('ab'), job, nextPeriod),
  ].map(secretOf);
  assert.equal(new Set([mine, ...others]).size, 6);
});

test('two files that are one period apart accept what the other one signs with', () => {
  const before = deriveJobKeys(root('ab'), job, period);
  const after = deriveJobKeys(root('ab'), job, nextPeriod);
  assert.match(before.current.id, /^[0-9a-f]{8}-1000$/);
  assert.deepEqual(
    idsOf(before).map((id) => id.slice(9)),
    ['1000', '999', '1001'],
  );
  assert.ok(idsOf(after).includes(before.current.id));
  assert.ok(idsOf(before).includes(after.current.id));
});

test('while a root key is replaced, each step accepts what the step before it signs with', () => {
  const [old, fresh] = [Buffer.from('ab'.repeat(20)), Buffer.from('cd'.repeat(20))];
  const steps: readonly RootKeys[] = [
    { current: old, next: undefined, previous: undefined },
    { current: old, next: fresh, previous: undefined },
    { current: fresh, next: undefined, previous: old },
    { current: fresh, next: undefined, previous: undefined },
  ];
  const keys = steps.map((step) => deriveJobKeys(step, job, period));
  for (const [index, here] of keys.entries()) {
    for (const near of keys.slice(Math.max(0, index - 1), index + 2)) {
      assert.ok(idsOf(near).includes(here.current.id), `step ${index}`);
    }
  }
  assert.ok(!idsOf(keys[3] as (typeof keys)[0]).includes(keys[0]?.current.id ?? ''));
});

test('the version of the file changes with its keys and not before', () => {
  let nowMs = 10_000;
  const credentials = new JobCredentials({ roots: () => root('ab'), nowMs: () => nowMs, periodMs: 1_000 });
  const first = credentials.keyFileOf(job);
  nowMs += 999;
  assert.equal(credentials.keyFileOf(job).content, first.content);
  assert.equal(credentials.keyFileOf(job).version, first.version);
  nowMs += 1;
  assert.notEqual(credentials.keyFileOf(job).version, first.version);
});

test('a root key is made once, for its owner only, and a changed one is read without a restart', async () => {
  const made = path.join(directory, 'made');
  await Promise.all([ensureRootKey(made), ensureRootKey(made)]);
  const file = path.join(made, 'current');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const content = readFileSync(file, 'utf8');
  await ensureRootKey(made);
  assert.equal(readFileSync(file, 'utf8'), content);
  let nowMs = 0;
  const keys = openRootKeys(made, { log: silentLog, nowMs: () => nowMs });
  writeFileSync(path.join(made, 'next'), 'n'.repeat(44));
  assert.equal(keys().next, undefined);
  nowMs += 10_000;
  assert.equal(keys().next?.toString(), 'n'.repeat(44));
  rmSync(file);
  nowMs += 10_000;
  assert.equal(`${keys().current}\n`, content);
});

test('a root key that is missing or typed by hand is refused with what to do', () => {
  const open = () => openRootKeys(directory, { log: silentLog, nowMs: () => 0 });
  assert.throws(open, { code: 'RootKeyUnusable', message: /current cannot be used: there is no such file/ });
  writeFileSync(path.join(directory, 'current'), 'secret\n');
  assert.throws(open, { code: 'RootKeyUnusable', message: /it has 6 characters/, remedy: /openssl rand/ } as never);
});
