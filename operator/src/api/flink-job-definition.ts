import { customResourceDefinition, mapValues, type SchemaNode, structural } from './custom-resource-definition.ts';
import { FlinkJobSpec } from './flink-job-spec.ts';
import { FlinkJobStatus } from './flink-job-status.ts';
import { kind } from './labels.ts';
import { dnsLabelBeginningWithLetter } from './string-forms.ts';

/** What holds where there is an API server, while the process platform knows no image, and takes a path that counts from the YAML file. */
const inCluster: readonly object[] = [
  // Pods carry the name and a suffix, and a label may have 63 characters.
  { rule: 'self.metadata.name.size() <= 45', message: 'metadata.name must have at most 45 characters' },
  {
    rule: `self.metadata.name.matches('${dnsLabelBeginningWithLetter.source}')`,
    message: 'metadata.name must be lower-case letters, digits and dashes, beginning with a letter',
  },
  {
    rule: 'has(self.spec.image)',
    message: 'is needed in a cluster: name the image that holds the job module',
    fieldPath: '.spec.image',
    reason: 'FieldValueRequired',
  },
  {
    rule: "!self.spec.state.checkpointStorage.startsWith('file:') || self.spec.state.checkpointStorage.matches('^file:(//)?/')",
    message: 'must be absolute in a cluster, where no YAML file is that a path could count from: file:///directory',
    fieldPath: '.spec.state.checkpointStorage',
    reason: 'FieldValueInvalid',
  },
];

/** The CustomResourceDefinition of FlinkJob, made from the zod schema. Throws when the schema is not structural. */
export function flinkJobDefinition(): object {
  return customResourceDefinition({
    kind,
    plural: 'flinkjobs',
    singular: 'flinkjob',
    shortName: 'fj',
    categories: ['all'],
    description: 'A stateful streaming job: what runs, how it is upgraded, and where its state is kept safe.',
    spec: { description: 'What is wished for.', ...withoutFilledIn(structural(FlinkJobSpec, 'spec')) },
    status: { description: 'What the controller has decided and seen.', ...structural(FlinkJobStatus, 'status') },
    validations: inCluster,
    scale: {
      specReplicasPath: '.spec.job.parallelism',
      statusReplicasPath: '.status.parallelism',
      labelSelectorPath: '.status.selector',
    },
    columns: [
      { name: 'State', type: 'string', jsonPath: '.status.state' },
      { name: 'Parallelism', type: 'integer', jsonPath: '.status.parallelism' },
      {
        name: 'Checkpoint',
        type: 'date',
        jsonPath: '.status.lastCheckpointTime',
        description: 'Age of the last completed checkpoint.',
      },
      { name: 'Restarts', type: 'integer', jsonPath: '.status.restarts' },
      { name: 'Revision', type: 'string', jsonPath: '.status.revision' },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
      // Only with -o wide.
      { name: 'Rollout', type: 'string', jsonPath: '.status.rollout.state', priority: 1 },
      { name: 'Problem', type: 'string', jsonPath: '.status.error.code', priority: 1 },
      { name: 'Image', type: 'string', jsonPath: '.spec.image', priority: 1 },
    ],
  });
}

/**
 * What a namespace may say for all its FlinkJobs (docs/kubernetes.md) is not filled in by the API server: in a FlinkJob that it has stored nobody could tell any more what its author wrote. The controller
 * does it, and the description says with what.
 */
const filledInByServer: ReadonlySet<string> = new Set(['engine', 'job', 'restore', 'state']);

function withoutFilledIn(spec: SchemaNode): SchemaNode {
  const properties = spec['properties'] as Readonly<Record<string, SchemaNode>>;
  const named = Object.entries(properties).map(([name, node]) => [name, filledInByServer.has(name) ? node : told(node)]);
  return { ...spec, properties: Object.fromEntries(named) };
}

function told({ default: value, ...node }: SchemaNode): SchemaNode {
  const isSaid = value === undefined || typeof value === 'object';
  const description = isSaid ? node['description'] : `${node['description']} Default: ${value}.`;
  const properties = node['properties'] as Readonly<Record<string, SchemaNode>> | undefined;
  return {
    ...node,
    ...(description === undefined ? {} : { description }),
    ...(properties === undefined ? {} : { properties: mapValues(properties, told) }),
  };
}
