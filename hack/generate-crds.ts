/** Writes `crds/*.yaml` from the zod schema in `operator/src/api`. The diff of that file is the review of an API change. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { flinkJobDefinitionYaml } from '../operator/src/api/custom-resource-definition-yaml.ts';

const file = fileURLToPath(new URL('../crds/flinkjobs.flinkjob.dev.yaml', import.meta.url));
mkdirSync(new URL('.', `file://${file}`), { recursive: true });
writeFileSync(file, flinkJobDefinitionYaml());
