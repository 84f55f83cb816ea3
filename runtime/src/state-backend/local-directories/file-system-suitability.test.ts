import assert from 'node:assert/strict';
import test from 'node:test';
import { judgeFileSystem } from './file-system-suitability.ts';

test('network and remote file systems are refused, each by a name that people know', () => {
  const cases = [
    ['nfs', 'NFS'],
    ['nfs4', 'NFS'],
    ['cifs', 'Windows share'],
    ['smb3', 'Windows share'],
    ['9p', '9P'],
    ['ceph', 'CephFS'],
    ['glusterfs', 'GlusterFS'],
    ['fuse.glusterfs', 'GlusterFS'],
    ['lustre', 'Lustre'],
    ['fuse.sshfs', 'SSH'],
    ['fuse.s3fs', 'object store'],
    ['fuse.gcsfuse', 'object store'],
    ['fuse.juicefs', 'JuiceFS'],
  ] as const;
  for (const [fileSystem, name] of cases) {
    const suitability = judgeFileSystem(fileSystem);
    assert.equal(suitability.verdict, 'Refused', fileSystem);
    assert.match('reason' in suitability ? suitability.reason : '', new RegExp(`${name}.*\\(${fileSystem}\\)`));
  }
});

test('local disks are suitable', () => {
  for (const fileSystem of ['ext4', 'xfs', 'btrfs', 'zfs', 'f2fs', 'apfs', 'bcachefs']) {
    assert.deepEqual(judgeFileSystem(fileSystem), { verdict: 'Suitable' }, fileSystem);
  }
});

test('memory, container layers, shared folders and unknown user-space file systems are doubtful', () => {
  for (const fileSystem of ['tmpfs', 'overlay', 'fuse.fuse-overlayfs', 'virtiofs', 'fuseblk', 'fuse.something-new']) {
    assert.equal(judgeFileSystem(fileSystem).verdict, 'Doubtful', fileSystem);
  }
});
