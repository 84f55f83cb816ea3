/** What a real kube-apiserver says of bad specs, from schema and rules of the definition alone. What the controller says is in src/api/bad-specs.test.ts. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { type ApiServer, startApiServer } from '../../../hack/kind/api-server.ts';
import { type ApiConnection, connectToApi } from '../../src/kubernetes/api-connection.ts';
import { ApiError } from '../../src/kubernetes/api-error.ts';
import { createApiAccess, createObjectClient } from '../../src/kubernetes/api-object-client.ts';
import { openClusterAccess } from '../../src/kubernetes/cluster-access.ts';
import { flinkJobOf } from '../contracts/bad-spec.ts';
import { badSpecs } from '../contracts/bad-specs.ts';
import { eventually } from '../fakes/eventually.ts';

const crd = fileURLToPath(new URL('../../../crds/flinkjobs.flinkjob.dev.yaml', import.meta.url));
let server: ApiServer;
let connection: ApiConnection;

before(async () => {
  server = await startApiServer();
  connection = connectToApi(await openClusterAccess({ kubeconfig: server.kubeconfigFile }));
  await createObjectClient(createApiAccess({ connection })).create(parse(readFileSync(crd, 'utf8')));
  await eventually('FlinkJobs are served', () =>
    answerTo(flinkJobOf({ set: {} })).then(
      () => true,
      // Not established yet; the limit says so if that stays.
      () => false,
    ),
  );
});

after(async () => {
  await server?.stop();
});

test('the FlinkJob that the bad ones are made of is good', async () => {
  assert.equal(await answerTo(flinkJobOf({ set: {} })), undefined);
});

for (const bad of badSpecs) {
  test(`${bad.what} is ${bad.server === undefined ? 'taken' : 'refused'}`, async () => {
    assert.equal(await answerTo(flinkJobOf(bad)), bad.server);
  });
}

/** As kubectl asks: strictly. Without what says nothing of the mistake; undefined when it would be taken. */
async function answerTo(body: object): Promise<string | undefined> {
  const path = '/apis/flinkjob.dev/v1alpha1/namespaces/default/flinkjobs';
  const query = { dryRun: 'All', fieldValidation: 'Strict' };
  try {
    await connection.send({ method: 'POST', path, query, body }, { timeoutMs: 30_000 });
    return undefined;
  } catch (error) {
    if (!(error instanceof ApiError && (error.status === 422 || error.status === 400))) {
      throw error;
    }
    return error.message
      .replace(/^.*?: 4\d\d /, '')
      .replace(/^FlinkJob\.flinkjob\.dev "[^"]*" is invalid: /, '')
      .replace(/^FlinkJob in version "v1alpha1" cannot be handled as a FlinkJob: /, '')
      .replace(notAllChecked, '$1');
  }
}

const notAllChecked =
  /^\[(.*), <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation\]$/;
