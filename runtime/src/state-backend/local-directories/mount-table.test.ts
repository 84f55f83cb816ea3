/** The kernel's mount table and which mount a path is on. What a file system means for us: file-system-suitability.test.ts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { mountOf, parseMountInfo } from './mount-table.ts';

const table = `22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
25 22 0:22 / /tmp rw,nosuid,nodev shared:5 - tmpfs tmpfs rw
30 22 0:41 / /mnt/state rw,relatime - nfs4 10.0.0.7:/exports/state rw,vers=4.2,addr=10.0.0.7
31 22 259:3 /volumes/a /mnt/state/local rw,noatime master:3 propagate_from:2 - xfs /dev/nvme1n1 rw
32 22 0:45 / /mnt/with\\040space\\134and\\043more rw - fuse.sshfs me@host:/data rw,user_id=0
33 22 259:4 / /mnt/twice rw - ext4 /dev/nvme2n1 rw
34 33 0:50 / /mnt/twice rw - cifs //server/share rw
`;

test('a line is read around its optional fields, and escapes are undone', () => {
  const mounts = parseMountInfo(table);
  assert.equal(mounts?.length, 7);
  assert.deepEqual(mounts?.[2], { mountPoint: '/mnt/state', fileSystem: 'nfs4', source: '10.0.0.7:/exports/state' });
  assert.deepEqual(mounts?.[4], {
    mountPoint: '/mnt/with space\\and#more',
    fileSystem: 'fuse.sshfs',
    source: 'me@host:/data',
  });
});

test('a path is on the mount with the longest mount point, by whole names', () => {
  const mounts = parseMountInfo(table) ?? [];
  const cases = [
    ['/', 'ext4'],
    ['/var/lib/flinkjob', 'ext4'],
    ['/tmp', 'tmpfs'],
    ['/tmp/flinkjob', 'tmpfs'],
    ['/tmpfiles', 'ext4'],
    ['/mnt/state', 'nfs4'],
    ['/mnt/state/x', 'nfs4'],
    ['/mnt/state/local', 'xfs'],
    ['/mnt/state/local/x', 'xfs'],
    ['/mnt/state/localhost', 'nfs4'],
    ['/mnt/statefulset', 'ext4'],
    ['/mnt/with space\\and#more/x', 'fuse.sshfs'],
  ] as const;
  for (const [path, fileSystem] of cases) {
    assert.equal(mountOf(path, mounts)?.fileSystem, fileSystem, path);
  }
});

test('of several mounts on one mount point the last is the one that is seen', () => {
  assert.equal(mountOf('/mnt/twice/x', parseMountInfo(table) ?? [])?.fileSystem, 'cifs');
});

test('a table with a line that is not understood is no table', () => {
  for (const line of [
    '30 22 0:41 / /mnt/state rw',
    '30 22 0:41 / - nfs4 server:/x rw',
    '30 22 0:41 / /mnt rw - nfs4',
    'nonsense',
  ]) {
    assert.equal(parseMountInfo(`${table}${line}\n`), undefined, line);
  }
});

test('a path that nothing is mounted over is on no mount', () => {
  assert.equal(mountOf('/elsewhere', [{ mountPoint: '/mnt', fileSystem: 'ext4', source: '/dev/x' }]), undefined);
});
