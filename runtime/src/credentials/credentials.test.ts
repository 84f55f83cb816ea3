// What a token proves, and to whom. That the ports ask for one is tested with them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { credentialsOf, jobKey, jobKeys } from '../../test/fakes/job-credentials.ts';
import { answerConnection, proveConnection } from './connection-proofs.ts';
import { Credentials } from './credentials.ts';
import { refusalLog } from './refusal-log.ts';
import { authorizeAnyRestCall, authorizeRestCall, verifyRestCall } from './rest-authorization.ts';
import { clockSkewMsMax, signToken, tokenLengthMax, tokenLifetimeMs } from './token.ts';

const keys = jobKeys();
const jobManager = () => credentialsOf('JobManager', keys);
const expected = { audience: 'Control', roles: ['TaskManager'], what: 'a connection' } as const;

test('a token of a process of the job is accepted, once', () => {
  const verifier = jobManager();
  const token = credentialsOf('TaskManager', keys).prove({ audience: 'Control' });
  assert.equal(verifier.verify(token, expected).role, 'TaskManager');
  assert.throws(() => verifier.verify(token, expected), { code: 'CredentialRefused', message: /used before/ });
});

test('what is missing, foreign, forged or meant for something else is refused with the reason', () => {
  const mine = credentialsOf('TaskManager', keys);
  const token = mine.prove({ audience: 'Control' });
  const [version, id, body = '', mac = ''] = token.split('.');
  const otherBody = Buffer.from(Buffer.from(body, 'base64url').toString().replace('TaskManager', 'Controller')).toString(
    'base64url',
  );
  const cases: readonly (readonly [string | undefined, string, RegExp])[] = [
    [undefined, 'CredentialMissing', /a connection needs a token/],
    ['', 'CredentialMissing', /needs a token/],
    ['nonsense', 'CredentialRefused', /no token of a FlinkJob/],
    [`${token}.more`, 'CredentialRefused', /no token of a FlinkJob/],
    ['x'.repeat(tokenLengthMax + 1), 'CredentialRefused', /more than/],
    [`${version}.${id}.${body}.`, 'CredentialRefused', /signature/],
    [`${version}.${id}.${body}.${mac.slice(0, -4)}`, 'CredentialRefused', /signature/],
    [`${version}.k0.${body}.${mac}`, 'CredentialRefused', /signature/],
    [`${version}.${id}.${otherBody}.${mac}`, 'CredentialRefused', /signature/],
    [credentialsOf('TaskManager', jobKeys()).prove({ audience: 'Control' }), 'CredentialRefused', /signature/],
    [credentialsOf('TaskManager', jobKeys({ current: jobKey('k9') })).prove({ audience: 'Control' }), 'CredentialRefused', /key/],
    // The name of a key cannot make one job pass for another, even if both had the same key.
    [
      credentialsOf('TaskManager', { ...keys, job: 'default/words/uid-2' }).prove({ audience: 'Control' }),
      'CredentialRefused',
      /another job/,
    ],
    [mine.prove({ audience: 'Data' }), 'CredentialRefused', /for Data and not for Control/],
    [credentialsOf('Controller', keys).prove({ audience: 'Control' }), 'CredentialForbidden', /a Controller may not/],
    [signToken(keys.current, { ...claims(), newer: 1 } as never), 'CredentialRefused', /newer release/],
  ];
  for (const [given, code, message] of cases) {
    assert.throws(() => jobManager().verify(given, expected), { code, message }, `${given?.slice(0, 80)}`);
  }
});

test('a token ages, and clocks may differ by a little in both directions', () => {
  const at = 5_000_000;
  const token = () => credentialsOf('TaskManager', keys, () => at).prove({ audience: 'Control' });
  const verifyAt = (nowMs: number) => credentialsOf('JobManager', keys, () => nowMs).verify(token(), expected);
  assert.ok(verifyAt(at - clockSkewMsMax));
  assert.ok(verifyAt(at + tokenLifetimeMs + clockSkewMsMax));
  assert.throws(() => verifyAt(at - clockSkewMsMax - 1), { message: /from 30001 ms ahead/ });
  assert.throws(() => verifyAt(at + tokenLifetimeMs + clockSkewMsMax + 1), { message: /90001 ms old/ });
});

test('tokens of the period before and of the one to come are accepted, in both directions of a rotation', () => {
  const [k0, k1, k2, k3] = [jobKey('p0'), jobKey('p1'), jobKey('p2'), jobKey('p3')];
  const before = jobKeys({ current: k1, others: [k0, k2] });
  const after = jobKeys({ current: k2, others: [k1, k3] });
  for (const [sender, receiver] of [
    [before, after],
    [after, before],
  ] as const) {
    assert.ok(
      credentialsOf('JobManager', receiver).verify(credentialsOf('TaskManager', sender).prove({ audience: 'Control' }), expected),
    );
  }
});

test('a connection is answered by the JobManager of the job, to this very question', () => {
  const ask = () => proveConnection(credentialsOf('TaskManager', keys), { audience: 'Control', listener: 'JobManager' });
  const asked = ask();
  const answer = answerConnection(jobManager(), asked.token, { audience: 'Control', peer: undefined });
  assert.throws(() => ask().checkAnswer(answer), { message: /another peer or another question/ });
  assert.throws(() => asked.checkAnswer(undefined), { code: 'CredentialMissing' });
  assert.throws(() => asked.checkAnswer(asked.token), { code: 'CredentialRefused' });
  asked.checkAnswer(answer);
  const byTaskManager = ask();
  const impostor = answerConnection(credentialsOf('TaskManager', keys), byTaskManager.token, {
    audience: 'Control',
    peer: undefined,
  });
  assert.throws(() => byTaskManager.checkAnswer(impostor), { code: 'CredentialForbidden' });
});

test('a token for the data port of one TaskManager opens no other', () => {
  const proof = proveConnection(credentialsOf('TaskManager', keys), {
    audience: 'Data',
    listener: 'TaskManager',
    address: '10.0.0.1:6122',
  });
  const consumer = credentialsOf('TaskManager', keys);
  assert.throws(
    () => answerConnection(consumer, proof.token, { audience: 'Data', address: '10.0.0.2:6122', peer: undefined }),
    /another peer/,
  );
  proof.checkAnswer(answerConnection(consumer, proof.token, { audience: 'Data', address: '10.0.0.1:6122', peer: undefined }));
});

test('a controller authorises one request and no other; a tool any one; a TaskManager none', () => {
  const call = { method: 'POST', path: '/jobs/a/stop?x=1', body: '{"operationId":"one"}' };
  const verify = (authorization: string | undefined, asked = call) =>
    verifyRestCall(jobManager(), { method: asked.method, path: asked.path, authorization })(asked.body);
  const controller = () => authorizeRestCall(credentialsOf('Controller', keys), call);
  verify(controller());
  verify(authorizeAnyRestCall(credentialsOf('Tool', keys)));
  for (const changed of [{ method: 'PATCH' }, { path: '/jobs/b/stop?x=1' }, { body: '{"operationId":"two"}' }]) {
    assert.throws(() => verify(controller(), { ...call, ...changed }), { message: /another request/ });
  }
  assert.throws(() => verify(authorizeAnyRestCall(credentialsOf('Controller', keys))), { message: /names no request/ });
  assert.throws(() => verify(authorizeRestCall(credentialsOf('TaskManager', keys), call)), { code: 'CredentialForbidden' });
  assert.throws(() => verify(controller().replace('FlinkJob', 'Bearer')), { code: 'CredentialMissing' });
  assert.throws(() => verify(undefined), { code: 'CredentialMissing', message: 'POST /jobs/a/stop needs a token of this job' });
});

function claims() {
  return { job: keys.job, role: 'TaskManager', audience: 'Control', issuedAtMs: 1_000_000, nonce: 'n' } as const;
}

test('who was refused is said, and not once for every try', () => {
  const lines: object[] = [];
  const log = { debug: () => {}, info: () => {}, warn: (fields: object) => lines.push(fields), error: () => {} };
  let nowMs = 0;
  const onRefused = refusalLog(log, () => nowMs);
  const verifier = new Credentials({ role: 'JobManager', keys: () => keys, nowMs: () => 1_000_000, onRefused });
  for (let count = 0; count < 5; count += 1) {
    assert.throws(() => verifier.verify(undefined, { ...expected, peer: '10.0.0.9' }));
  }
  nowMs += 10_000;
  assert.throws(() => verifier.verify('nonsense', { ...expected, peer: '10.0.0.8' }));
  verifier.verify(credentialsOf('TaskManager', keys).prove({ audience: 'Control' }), expected);
  assert.deepEqual(
    lines.map((line) => {
      const { code, what, peer, unsaid } = line as Record<string, unknown>;
      return [code, what, peer, unsaid];
    }),
    [
      ['CredentialMissing', 'a connection', '10.0.0.9', 0],
      ['CredentialRefused', 'a connection', '10.0.0.8', 4],
    ],
  );
});
