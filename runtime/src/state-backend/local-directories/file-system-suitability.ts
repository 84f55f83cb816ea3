/** Whether working state may lie on a file system. RocksDB reads at random, syncs often and trusts the disk to be there. */
export type Suitability =
  | { readonly verdict: 'Suitable' }
  | { readonly verdict: 'Doubtful'; readonly reason: string }
  | { readonly verdict: 'Refused'; readonly reason: string };

/** Each with what it is, for people. `fuse.` names are what the helper calls itself. */
const remote = new Map<string, string>([
  ['nfs', 'NFS'],
  ['nfs4', 'NFS'],
  ['cifs', 'a Windows share'],
  ['smb2', 'a Windows share'],
  ['smb3', 'a Windows share'],
  ['smbfs', 'a Windows share'],
  ['ncpfs', 'a NetWare share'],
  ['afs', 'AFS'],
  ['coda', 'Coda'],
  ['9p', 'a folder of another machine, shared by 9P'],
  ['ceph', 'CephFS'],
  ['fuse.ceph', 'CephFS'],
  ['fuse.ceph-fuse', 'CephFS'],
  ['glusterfs', 'GlusterFS'],
  ['fuse.glusterfs', 'GlusterFS'],
  ['lustre', 'Lustre'],
  ['beegfs', 'BeeGFS'],
  ['gpfs', 'GPFS'],
  ['panfs', 'PanFS'],
  ['wekafs', 'WekaFS'],
  ['orangefs', 'OrangeFS'],
  ['pvfs2', 'OrangeFS'],
  ['gfs2', 'a cluster file system'],
  ['ocfs2', 'a cluster file system'],
  ['davfs', 'WebDAV'],
  ['fuse.davfs', 'WebDAV'],
  ['fuse.davfs2', 'WebDAV'],
  ['fuse.sshfs', 'a folder of another machine, over SSH'],
  ['fuse.curlftpfs', 'FTP'],
  ['fuse.s3fs', 'an object store'],
  ['fuse.goofys', 'an object store'],
  ['fuse.geesefs', 'an object store'],
  ['fuse.mountpoint-s3', 'an object store'],
  ['fuse.gcsfuse', 'an object store'],
  ['fuse.blobfuse', 'an object store'],
  ['fuse.blobfuse2', 'an object store'],
  ['fuse.ossfs', 'an object store'],
  ['fuse.rclone', 'remote storage, by rclone'],
  ['fuse.juicefs', 'JuiceFS'],
  ['fuse.JuiceFS', 'JuiceFS'],
  ['fuse.alluxio-fuse', 'Alluxio'],
  ['fuse.seaweedfs', 'SeaweedFS'],
  ['fuse.moosefs', 'MooseFS'],
  ['fuse.mfs', 'MooseFS'],
  ['fuse.lizardfs', 'LizardFS'],
]);

const doubtful = new Map<string, string>([
  ['tmpfs', 'it is memory: state takes from the container what the memory budget counts on'],
  ['ramfs', 'it is memory without a limit: state takes from the container what the memory budget counts on'],
  ['overlay', 'it is the container’s own writable layer: slower than a volume, and counted against the node’s ephemeral storage'],
  ['aufs', 'it is the container’s own writable layer: slower than a volume, and counted against the node’s ephemeral storage'],
  ['fuse.fuse-overlayfs', 'it is the container’s own writable layer in user space: much slower than a volume'],
  ['virtiofs', 'it is a folder of the machine outside this virtual one: every access leaves the virtual machine'],
  ['vboxsf', 'it is a folder of the machine outside this virtual one: every access leaves the virtual machine'],
]);

export function judgeFileSystem(fileSystem: string): Suitability {
  const remoteName = remote.get(fileSystem);
  if (remoteName !== undefined) {
    return { verdict: 'Refused', reason: `it is ${remoteName} (${fileSystem}), not a local disk` };
  }
  const reason = doubtful.get(fileSystem);
  if (reason !== undefined) {
    return { verdict: 'Doubtful', reason };
  }
  if (fileSystem.startsWith('fuse')) {
    return { verdict: 'Doubtful', reason: `${fileSystem} runs in user space, and whether it is local nobody can tell` };
  }
  return { verdict: 'Suitable' };
}
