/** Versions of the example's module, mounted from ConfigMaps: no image has to be built for each. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { applyManifest } from './cluster-under-test.ts';

const example = fileURLToPath(new URL('../../../examples/keyed-count/keyed-count.ts', import.meta.url));
const directory = '/module';
export const mountedModule = `${directory}/keyed-count.ts`;

/** What goes into the pod template. `change` must change something. */
export async function putModule(
  namespace: string,
  name: string,
  change: (text: string) => string,
): Promise<{ readonly volumes: readonly object[]; readonly volumeMounts: readonly object[] }> {
  const text = readFileSync(example, 'utf8');
  const changed = change(text);
  assert.notEqual(changed, text, `${name} is the module as it was`);
  const data = { 'keyed-count.ts': changed };
  await applyManifest({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name }, data });
  return {
    volumes: [{ name: 'module', configMap: { name } }],
    volumeMounts: [{ name: 'module', mountPath: directory, readOnly: true }],
  };
}
