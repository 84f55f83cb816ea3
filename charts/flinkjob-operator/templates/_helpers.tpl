{{/* The name of the release's objects, and of the lease. */}}
{{- define "flinkjob-operator.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "flinkjob-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "flinkjob-operator.name" .) -}}
{{- else -}}
{{- required "serviceAccount.name has to name an existing service account when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "flinkjob-operator.rootKeySecretName" -}}
{{- .Values.credentials.existingSecret | default (printf "%s-root-key" (include "flinkjob-operator.name" .)) -}}
{{- end -}}

{{/* What belongs to one object for ever: a Deployment's selector cannot be changed. */}}
{{- define "flinkjob-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "flinkjob-operator.labels" -}}
{{ include "flinkjob-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* repository:tag or repository@digest. */}}
{{- define "flinkjob-operator.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
What the operator may do where FlinkJobs are. It reads no Secret, and there are no wildcards: what a job's pods mount is named in their templates and read by the
kubelet. hack/helm/chart.test.ts holds this list to both.
*/}}
{{- define "flinkjob-operator.rules" -}}
# The wish, and what became of it.
- apiGroups: [flinkjob.dev]
  resources: [flinkjobs]
  verbs: [get, list, watch, update, patch]
- apiGroups: [flinkjob.dev]
  resources: [flinkjobs/status]
  verbs: [get, update, patch]
# Savepoints: those of people, and those that a schedule makes and removes.
- apiGroups: [flinkjob.dev]
  resources: [flinksavepoints]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [flinkjob.dev]
  resources: [flinksavepoints/status]
  verbs: [get, update, patch]
# A cluster that checks owner references wants this of who sets one that blocks deletion.
- apiGroups: [flinkjob.dev]
  resources: [flinkjobs/finalizers]
  verbs: [update]
# Revisions, and the workloads of a job.
- apiGroups: [apps]
  resources: [controllerrevisions, deployments, statefulsets]
  verbs: [get, list, watch, create, update, patch, delete]
# Pre-flight and purge.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [""]
  resources: [configmaps, services, serviceaccounts]
  verbs: [get, list, watch, create, update, patch, delete]
# The keys of each job, in a Secret of a type of their own (see admission-policy.yaml). They go with their FlinkJob.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, patch]
# Pods are made by their workloads, and say in their termination messages what became of them. To create them is asked for as a trial only (dry run),
# so that a pod that quota or policy refuses is named before a running job is touched; whoever may create Deployments may have pods anyway.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete]
# Whether a new revision fits, before the old one is stopped.
- apiGroups: [""]
  resources: [resourcequotas]
  verbs: [list]
# Volumes of TaskManagers that are bound to a node that is lost.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
