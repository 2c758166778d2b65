{{- define "standin.image" -}}
{{- if .override -}}{{ .override }}{{- else -}}
{{ .repository }}{{ .variant }}{{ .suffix }}:{{ .tag }}{{ if and .useDigest .digest }}@{{ .digest }}{{ end }}
{{- end -}}
{{- end }}

{{- define "standin.operatorImage" -}}
{{- $image := .Values.operator.image -}}
{{- include "standin.image" (dict "override" $image.override "repository" $image.repository "variant" "-generic" "suffix" $image.suffix "tag" $image.tag "useDigest" $image.useDigest "digest" $image.genericDigest) -}}
{{- end }}

{{- define "standin.apiEnv" -}}
{{- if .Values.k8sServiceHost }}
- name: KUBERNETES_SERVICE_HOST
  value: {{ .Values.k8sServiceHost | quote }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ .Values.k8sServicePort | default "443" | quote }}
{{- end }}
{{- end }}

{{- define "standin.nodeEnv" -}}
- name: K8S_NODE_NAME
  valueFrom: {fieldRef: {apiVersion: v1, fieldPath: spec.nodeName}}
- name: CILIUM_K8S_NAMESPACE
  valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}}
- name: CILIUM_VERSION
  value: {{ .Chart.AppVersion | quote }}
{{- include "standin.apiEnv" . }}
{{- end }}

{{- define "standin.envoy" -}}
{{- if and .Values.l7Proxy (ne (toString .Values.envoy.enabled) "false") }}true{{ end -}}
{{- end }}

{{- define "standin.relay" -}}
{{- if and .Values.hubble.enabled .Values.hubble.relay.enabled }}true{{ end -}}
{{- end }}

{{- define "standin.peerPort" -}}
{{ .Values.hubble.peerService.servicePort | default (ternary 443 80 .Values.hubble.tls.enabled) }}
{{- end }}
