import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobError } from '@flinkjob/runtime/rest';
import { helpText, readConfig } from './config.ts';

const kubernetes = (...args: readonly string[]) => readConfig(['--platform=kubernetes', ...args], {});

function refusal(args: readonly string[], environment = {}): string {
  try {
    readConfig(args, environment);
  } catch (error) {
    assert.ok(error instanceof JobError);
    assert.equal(error.retry, 'never');
    assert.match(error.remedy ?? '', /--help/);
    return error.message.replace('the arguments cannot be used: ', '');
  }
  return assert.fail('accepted');
}

test('a work directory is all that local processes need', () => {
  assert.deepEqual(readConfig(['--work-dir', '/work/'], { POD_NAME: 'of no interest' }), {
    ...{ platform: 'process', workDirectory: '/work', logLevel: 'info' },
  });
  assert.equal(refusal([]), '--work-dir is missing: a directory of its own for what the controller keeps');
});

test('what the chart passes is understood', () => {
  const args = [
    '--namespaces=a,b',
    '--lease-namespace=ops',
    '--lease-name=fj',
    '--http-address=0.0.0.0:8080',
    '--cluster-id=eu-1',
    '--root-key-dir=/etc/root-key',
    '--key-period-seconds=3600',
    '--metrics-namespaces=monitoring',
  ];
  assert.deepEqual(readConfig(['--platform=kubernetes', ...args, '--log-level=warn'], { POD_NAME: 'fj-7d9c-x' }), {
    ...{ platform: 'kubernetes', namespaces: ['a', 'b'], leaseNamespace: 'ops', leaseName: 'fj', leaseDurationSeconds: 12 },
    ...{ httpAddress: { host: '0.0.0.0', port: 8080 }, clusterId: 'eu-1', podName: 'fj-7d9c-x', logLevel: 'warn' },
    ...{ rootKeyDirectory: '/etc/root-key', keyPeriodSeconds: 3600, metricsNamespaces: ['monitoring'] },
  });
  assert.deepEqual(kubernetes('--http-address=[::1]:0'), {
    ...{ platform: 'kubernetes', leaseName: 'flinkjob-operator', leaseDurationSeconds: 12, logLevel: 'info' },
    httpAddress: { host: '::1', port: 0 },
    keyPeriodSeconds: 86_400,
  });
});

test('a refusal names the option, what is wrong and what is meant', () => {
  assert.equal(refusal(['--no-such-option']), '--no-such-option is no option');
  assert.equal(refusal(['--platform=kubernetes', '--namespace=a']), '--namespace is no option; is --namespaces meant?');
  assert.equal(refusal(['--platform=helm']), '--platform=helm: has to be process or kubernetes');
  assert.equal(refusal(['--work-dir=/work', '--namespaces=a']), '--namespaces has no meaning with --platform=process');
  assert.equal(refusal(['--platform=kubernetes', '--work-dir=/work']), '--work-dir has no meaning with --platform=kubernetes');
  assert.match(refusal(['--work-dir']), /argument missing/);
  assert.match(refusal(['--work-dir=/work', 'more']), /more/);
  assert.match(refusal(['--platform=kubernetes', '--namespaces=']), /^--namespaces has to be a name/);
  assert.match(refusal(['--platform=kubernetes', '--namespaces=a,B']), /^--namespaces has to be a name/);
  assert.equal(
    refusal(['--platform=kubernetes', '--http-address=8080']),
    '--http-address has to be host:port, as 0.0.0.0:8080 or [::]:8080',
  );
  assert.equal(refusal(['--platform=kubernetes', '--key-period-seconds=60']), '--key-period-seconds has to be 600 or more');
  assert.equal(refusal(['--platform=kubernetes', '--lease-duration-seconds=2']), '--lease-duration-seconds has to be 3 or more');
  assert.equal(
    refusal(['--platform=kubernetes', '--lease-duration-seconds=15s']),
    '--lease-duration-seconds has to be a whole number of seconds',
  );
  assert.match(refusal(['--platform=kubernetes', '--log-level=loud']), /^--log-level .*debug/);
  assert.match(refusal(['--platform=kubernetes'], { POD_NAME: 'Not A Name' }), /^the environment variable POD_NAME has to be/);
});

test('the help has every option', () => {
  for (const option of [
    '--platform',
    '--work-dir',
    '--namespaces',
    '--kubeconfig',
    '--lease-duration-seconds',
    '--http-address',
  ]) {
    assert.ok(helpText().includes(`${option} `), option);
  }
});
