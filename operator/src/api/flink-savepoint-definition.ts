import { structural } from './custom-resource-definition.ts';
import { savepointKind } from './flink-savepoint.ts';
import { FlinkSavepointSpec } from './flink-savepoint-spec.ts';
import { FlinkSavepointStatus } from './flink-savepoint-status.ts';
import { group, version } from './labels.ts';

/** The CustomResourceDefinition of FlinkSavepoint, made from the zod schema. Throws when the schema is not structural. */
export function flinkSavepointDefinition(): object {
  const schema = {
    description: 'A savepoint of a FlinkJob: taken or imported, kept, proven restorable, and deleted with its resource.',
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: 'Version of this representation.' },
      kind: { type: 'string', description: 'FlinkSavepoint.' },
      metadata: { type: 'object' },
      spec: { description: 'What is wished for.', ...structural(FlinkSavepointSpec, 'spec') },
      status: { description: 'What became of it.', ...structural(FlinkSavepointStatus, 'status') },
    },
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `flinksavepoints.${group}` },
    spec: {
      group,
      names: {
        kind: savepointKind,
        listKind: `${savepointKind}List`,
        plural: 'flinksavepoints',
        singular: 'flinksavepoint',
        shortNames: ['fsp'],
      },
      scope: 'Namespaced',
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
          additionalPrinterColumns: [
            { name: 'Job', type: 'string', jsonPath: '.spec.flinkJobName' },
            { name: 'State', type: 'string', jsonPath: '.status.state' },
            {
              name: 'Restorable',
              type: 'string',
              jsonPath: '.status.conditions[?(@.type=="Restorable")].status',
              description: 'What the last restore drill has shown.',
            },
            { name: 'Completed', type: 'date', jsonPath: '.status.completedTime' },
            { name: 'Size', type: 'integer', jsonPath: '.status.sizeBytes', description: 'Bytes of state that it names.' },
            { name: 'Path', type: 'string', jsonPath: '.status.path', priority: 1 },
            { name: 'Problem', type: 'string', jsonPath: '.status.problem.code', priority: 1 },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
        },
      ],
    },
  };
}
