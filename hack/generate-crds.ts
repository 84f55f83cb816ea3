/**
 * Writes the CustomResourceDefinitions from the zod schema in `operator/src/api`: to `crds/`, for `kubectl apply`, and the same into the chart, which
 * cannot read files outside of itself. The diff of the first is the review of an API change.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { definitionFiles } from '../operator/src/api/custom-resource-definition-yaml.ts';

for (const directory of ['../crds/', '../charts/flinkjob-operator/files/crds/']) {
  const url = new URL(directory, import.meta.url);
  mkdirSync(url, { recursive: true });
  for (const [name, content] of Object.entries(definitionFiles())) {
    writeFileSync(fileURLToPath(new URL(name, url)), content);
  }
}
