import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';

/**
 * The folders below a storage's root that hold a lineage, each '' or ending in a slash: the root itself, when it is one, or those of all jobs. Also what
 * lies outside of every lineage, which is nobody's.
 */
export async function findLineages(storage: CheckpointStorage): Promise<{
  readonly folders: readonly string[];
  readonly strays: readonly { readonly path: string; readonly sizeBytes: number }[];
}> {
  const objects = await storage.list('');
  const folders = new Set<string>();
  for (const { path } of objects) {
    const folder = /^(?<folder>(?:.*\/)?)lineage\/\d{20}\.json$/.exec(path)?.groups?.['folder'];
    if (folder !== undefined) {
      folders.add(folder);
    }
  }
  const isInside = (path: string) => {
    for (let slash = path.lastIndexOf('/'); slash >= 0; slash = path.lastIndexOf('/', slash - 1)) {
      if (folders.has(path.slice(0, slash + 1))) {
        return true;
      }
      if (slash === 0) {
        break;
      }
    }
    return folders.has('');
  };
  return { folders: [...folders].sort(), strays: objects.filter(({ path }) => !isInside(path)) };
}
