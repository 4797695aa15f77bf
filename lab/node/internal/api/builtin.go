package api

import "strings"

// builtIn is every type that the API knows by itself.
var builtIn = read(`
v1 | Namespace namespaces ns | status
v1 | Node nodes no | status
v1 * Pod pods po | status eviction
v1 * Secret secrets |
v1 * ConfigMap configmaps cm |
v1 * Event events ev |
v1 * Service services svc | status
v1 * Endpoints endpoints ep |
v1 * ServiceAccount serviceaccounts sa |
v1 * PersistentVolumeClaim persistentvolumeclaims pvc | status
v1 | PersistentVolume persistentvolumes pv | status
apps/v1 * DaemonSet daemonsets ds | status
apps/v1 * ReplicaSet replicasets rs | status
apps/v1 * Deployment deployments deploy | status
apps/v1 * StatefulSet statefulsets sts | status
batch/v1 * Job jobs | status
batch/v1 * CronJob cronjobs cj | status
certificates.k8s.io/v1 | CertificateSigningRequest certificatesigningrequests csr | status approval
coordination.k8s.io/v1 * Lease leases |
policy/v1 * PodDisruptionBudget poddisruptionbudgets pdb | status
rbac.authorization.k8s.io/v1 | ClusterRole clusterroles |
rbac.authorization.k8s.io/v1 | ClusterRoleBinding clusterrolebindings |
rbac.authorization.k8s.io/v1 * Role roles |
rbac.authorization.k8s.io/v1 * RoleBinding rolebindings |
storage.k8s.io/v1 | StorageClass storageclasses sc |
apiextensions.k8s.io/v1 | CustomResourceDefinition customresourcedefinitions crd crds | status
authentication.k8s.io/v1 | SelfSubjectReview selfsubjectreviews |
authorization.k8s.io/v1 | SelfSubjectAccessReview selfsubjectaccessreviews |
user.openshift.io/v1 | User users |
route.openshift.io/v1 * Route routes | status
config.openshift.io/v1 ! APIServer apiservers | status
config.openshift.io/v1 ! Authentication authentications | status
config.openshift.io/v1 ! Build builds | status
config.openshift.io/v1 ! ClusterOperator clusteroperators co | status
config.openshift.io/v1 ! ClusterVersion clusterversions | status
config.openshift.io/v1 ! Console consoles | status
config.openshift.io/v1 ! DNS dnses | status
config.openshift.io/v1 ! FeatureGate featuregates | status
config.openshift.io/v1 ! Image images | status
config.openshift.io/v1 ! ImageContentPolicy imagecontentpolicies | status
config.openshift.io/v1 ! ImageDigestMirrorSet imagedigestmirrorsets idms | status
config.openshift.io/v1 ! ImageTagMirrorSet imagetagmirrorsets itms | status
config.openshift.io/v1 ! Infrastructure infrastructures | status
config.openshift.io/v1 ! Ingress ingresses | status
config.openshift.io/v1 ! Network networks | status
config.openshift.io/v1 ! Node nodes | status
config.openshift.io/v1 ! OAuth oauths | status
config.openshift.io/v1 ! OperatorHub operatorhubs | status
config.openshift.io/v1 ! Project projects | status
config.openshift.io/v1 ! Proxy proxies | status
config.openshift.io/v1 ! Scheduler schedulers | status
machineconfiguration.openshift.io/v1 ! MachineConfig machineconfigs mc |
machineconfiguration.openshift.io/v1 ! MachineConfigPool machineconfigpools mcp | status
machineconfiguration.openshift.io/v1 ! ControllerConfig controllerconfigs | status
machineconfiguration.openshift.io/v1 ! KubeletConfig kubeletconfigs | status
machine.openshift.io/v1beta1 *! Machine machines | status
machine.openshift.io/v1beta1 *! MachineSet machinesets | status
operator.openshift.io/v1 ! Authentication authentications | status
operator.openshift.io/v1 ! Console consoles | status
operator.openshift.io/v1 ! DNS dnses | status
operator.openshift.io/v1 ! Etcd etcds | status
operator.openshift.io/v1 *! IngressController ingresscontrollers | status
operator.openshift.io/v1 ! KubeAPIServer kubeapiservers | status
operator.openshift.io/v1 ! KubeControllerManager kubecontrollermanagers | status
operator.openshift.io/v1 ! KubeScheduler kubeschedulers | status
operator.openshift.io/v1 ! MachineConfiguration machineconfigurations | status
operator.openshift.io/v1 ! Network networks | status
operator.openshift.io/v1 ! OpenShiftAPIServer openshiftapiservers | status
operator.openshift.io/v1 ! Storage storages | status
operator.openshift.io/v1alpha1 ! ImageContentSourcePolicy imagecontentsourcepolicies |
operators.coreos.com/v1alpha1 *! CatalogSource catalogsources catsrc | status
imageregistry.operator.openshift.io/v1 ! Config configs | status
samples.operator.openshift.io/v1 ! Config configs | status
`)

// read parses the table: group and version, * for namespaced and ! for custom, kind, plural, short names, subresources.
func read(table string) []Resource {
	var found []Resource
	for line := range strings.Lines(strings.TrimSpace(table)) {
		left, right, _ := cutLast(line, "|")
		words := strings.Fields(left)
		group, version, grouped := strings.Cut(words[0], "/")
		if !grouped {
			group, version = "", words[0]
		}
		found = append(found, Resource{
			Group: group, Version: version, Kind: words[2], Plural: words[3], Singular: strings.ToLower(words[2]),
			Namespaced: strings.Contains(words[1], "*"), Custom: strings.Contains(words[1], "!"),
			Short: words[4:], Subresources: strings.Fields(right),
		})
	}
	return found
}

func cutLast(line, mark string) (left, right string, found bool) {
	if index := strings.LastIndex(line, mark); index >= 0 {
		return line[:index], line[index+len(mark):], true
	}
	return line, "", false
}
