// The end of a subscription of JsSIP: without it, its timers would go on to refresh it.
export function stop(subscription, agent) {
  subscription.removeAllListeners();
  if (subscription.state !== subscription.C.STATE_TERMINATED && agent.isConnected()) subscription.terminate();
}
