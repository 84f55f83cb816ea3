import { globSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { clusterEnvironment, clusterUp, kubectl, loadImages } from './cluster.ts';
import { attempt, KindError, say, stage } from './command.ts';
import { installOperator, operatorNamespace, uninstallOperator } from './operator-release.ts';
import { buildExampleImage, buildImagesToTry, exampleImage } from './own-images.ts';
import { binDirectory, kindDirectory, sharedDirectory } from './paths.ts';
import { runTestFiles } from './run-test-files.ts';

/** The example again under another name: what a job is upgraded to. */
const nextImage = exampleImage.replace(/:.*$/, ':2');
/** Everything of the tests is in these, and in those with the label; whatever an earlier run left is removed with them. */
const namespaces = ['streams', 'storage', operatorNamespace];
const ofTests = '--selector=flinkjob.dev/test=kind';
const removalTimeoutMs = 5 * 60_000;
/** Scenarios of these do harm to nothing but their own job and namespace, and run side by side; the others have the cluster to themselves. */
const sideBySide = 'operator/test/kind/side-by-side';
/** Each has two or three pods, and waits most of its time: more would have two processors wait for each other. */
const sideBySideCount = 3;

/**
 * `npm run test:kind`: the scenarios of operator/test/kind in a cluster with our images, our chart and an S3 server. Gives the exit code. With CI=true a skipped
 * test is a failure. `--keep` leaves the operator and the S3 server there for a look around.
 */
export async function testInCluster(args: readonly string[]): Promise<number> {
  const chosen = args.filter((arg) => arg !== '--keep');
  const files = chosen.length > 0 ? chosen : globSync('operator/test/kind/**/*.test.ts').toSorted();
  if (files.length === 0 || files.some((file) => file.startsWith('-'))) {
    throw new KindError('usage: npm run test:kind [-- --keep] [FILE…], with files of operator/test/kind');
  }
  await stage('cluster', clusterUp);
  const images = await stage('images', async () => [...(await buildImagesToTry()), await buildExampleImage(nextImage)]);
  await stage('loading images', () => loadImages(images));
  await stage('removing what an earlier run left', removeAll);
  await stage('S3 server and operator', install);
  const code = await stage('scenarios', () => runScenarios(files));
  if (!args.includes('--keep')) {
    await stage('removing the operator, the jobs and the S3 server', removeAll);
  }
  return code;
}

async function runScenarios(files: readonly string[]): Promise<number> {
  const together = files.filter((file) => file.includes(`${sideBySide}/`));
  const alone = files.filter((file) => !together.includes(file));
  const codes: number[] = [];
  for (const [group, concurrency] of [
    [together, sideBySideCount],
    [alone, 1],
  ] as const) {
    if (group.length > 0) {
      codes.push(await runTestFiles(group, { environment: clusterEnvironment, concurrency }));
    }
  }
  return Math.max(...codes);
}

async function install(): Promise<void> {
  await kubectl('apply', '--filename', join(kindDirectory, 's3-server.yaml'));
  await kubectl('create', 'namespace', operatorNamespace);
  await kubectl('label', 'namespace', operatorNamespace, 'pod-security.kubernetes.io/enforce=restricted');
  await installOperator();
  await kubectl('--namespace', 'storage', 'rollout', 'status', 'deployment/s3', '--timeout=120s');
}

/** The operator goes last: it lets FlinkJobs go. Their definition stays, as it does when a user uninstalls. */
async function removeAll(): Promise<void> {
  const isThere =
    (await attempt(join(binDirectory, 'kubectl'), ['get', 'crd', 'flinkjobs.flinkjob.dev'], { env: clusterEnvironment })).code ===
    0;
  if (isThere) {
    await removeFlinkJobs();
  }
  await uninstallOperator();
  await kubectl('delete', 'namespace', ...namespaces, '--ignore-not-found', '--timeout=180s');
  await kubectl('delete', 'namespace', ofTests, '--ignore-not-found', '--timeout=180s');
  await kubectl('delete', 'persistentvolume', ofTests, '--ignore-not-found', '--timeout=60s');
  for (const left of readdirSync(sharedDirectory)) {
    rmSync(join(sharedDirectory, left), { recursive: true, force: true });
  }
}

async function removeFlinkJobs(): Promise<void> {
  const labelled = (await kubectl('get', 'namespaces', ofTests, '--output=name')).split('\n').filter(Boolean);
  for (const namespace of new Set(['streams', ...labelled.map((name) => name.replace('namespace/', ''))])) {
    await removeFlinkJobsOf(namespace);
  }
}

async function removeFlinkJobsOf(namespace: string): Promise<void> {
  const programAndNamespace = ['delete', 'flinkjobs', '--all', '--namespace', namespace, '--timeout=90s'];
  const deleted = await attempt(join(binDirectory, 'kubectl'), programAndNamespace, {
    env: clusterEnvironment,
    timeoutMs: removalTimeoutMs,
  });
  if (deleted.code !== 0) {
    // A run that was interrupted may have left them without an operator.
    const names = (await kubectl('--namespace', namespace, 'get', 'flinkjobs', '--output=name')).split('\n').filter(Boolean);
    for (const name of names) {
      say(`nobody lets ${namespace}/${name} go: its finalizer is removed by force`);
      await kubectl('--namespace', namespace, 'patch', name, '--type=merge', '--patch={"metadata":{"finalizers":null}}');
    }
  }
}
