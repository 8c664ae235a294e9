// Put into a JupyterLab page by lab.py: notes what passes between page and kernel, and when, until stop().
//
// JupyterLab is started with --expose-app-in-browser, so that its application is `jupyterapp`.
// Times are performance.now(), in milliseconds.
(() => {
  const panel = jupyterapp.shell.currentWidget;
  const watch = (window.courseWatch = {
    replies: 0, // cells that the kernel has answered
    errors: [], // errors that the kernel reported outside cells: an explorer's code raised one
    unanswered: new Set(), // messages from widgets that the kernel still works on
    moved: 0, // how many messages the widgets have sent since begin()
    pressed: 0, // when the last key went down, or a file was chosen
    answered: 0, // when an explorer's picture, or the bar above it, first changed after that
    drawn: 0, // when one of them last changed
    latest: 0, // when any of these last happened
  });
  const now = () => (watch.latest = performance.now());

  panel.sessionContext.session.kernel.anyMessage.connect((_, { msg, direction }) => {
    const type = msg.header.msg_type;
    const parent = msg.parent_header && msg.parent_header.msg_id;
    if (direction === 'send' && type === 'comm_msg') {
      watch.unanswered.add(msg.header.msg_id);
      watch.moved += 1;
      now();
    } else if (type === 'status' && msg.content.execution_state === 'idle' && watch.unanswered.delete(parent)) {
      now();
    } else if (type === 'execute_reply') {
      watch.replies += 1;
    } else if (type === 'error' && watch.unanswered.has(parent)) {
      watch.errors.push(`${msg.content.ename}: ${msg.content.evalue}`);
    }
  });
  const listeners = new AbortController();
  const listen = (type, listener) =>
    document.addEventListener(type, listener, { capture: true, signal: listeners.signal });
  const press = () => Object.assign(watch, { pressed: now(), answered: 0 });
  listen('keydown', press);
  // An open list keeps its keys to itself, and a chosen file needs none: there it is the change that counts.
  const byChange = element => element.tagName === 'SELECT' || element.type === 'file';
  listen('change', event => byChange(event.target) && press());
  const pictureOf = node => (node.nodeType === 1 ? node : node.parentElement)?.closest('.widget-html');
  const observer = new MutationObserver(records => {
    if (records.some(record => pictureOf(record.target)?.closest('.course-explorer'))) {
      watch.drawn = now();
      watch.answered ||= watch.drawn;
    }
  });
  observer.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  watch.stop = () => {
    listeners.abort();
    observer.disconnect();
  };

  watch.begin = () => Object.assign(watch, { moved: 0, pressed: 0, answered: 0, drawn: 0, latest: performance.now() });
  // A widget that moved sends a message at once; 400 ms without one mean that nothing moved.
  watch.settled = () =>
    watch.unanswered.size === 0 &&
    !document.querySelector('.course-explorer-busy') && // what is computed behind a first answer is still to come
    performance.now() - watch.latest > (watch.moved ? 60 : 400);

  watch.idle = () => [...panel.content.model.cells].every(cell => (cell.executionState ?? 'idle') === 'idle');
  watch.cells = () =>
    [...panel.content.model.cells].map(cell => ({
      code: cell.type === 'code' && cell.sharedModel.source.trim() !== '',
      errors: (cell.toJSON().outputs || [])
        .filter(output => output.output_type === 'error')
        .map(output => `${output.ename}: ${output.evalue}`),
      source: cell.sharedModel.source,
    }));
})();
