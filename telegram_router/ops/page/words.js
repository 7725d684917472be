// Every word that the page shows, in Korean and in English. Names, codes and values are shown as they are.

import { MEANINGS } from "./codes.js";

const WORDS = {
  skip: ["본문으로 건너뛰기", "Skip to content"],
  language: ["언어", "Language"],
  sections: ["화면", "Sections"],
  overview: ["개요", "Overview"],
  connections: ["연결", "Connections"],
  errors: ["오류", "Errors"],
  tail: ["실시간 전문", "Live tail"],
  inspector: ["전문 해석", "Inspector"],
  signin: ["로그인", "Sign in"],
  signout: ["로그아웃", "Sign out"],
  token: ["토큰", "Token"],
  tokenhint: ["관리 주소가 토큰을 요구합니다. 토큰은 이 탭에만 보관됩니다.", "The admin address asks for a token. It is kept in this tab only."],
  tokenwrong: ["토큰이 올바르지 않습니다.", "The token is wrong."],
  viewer: ["조회자", "viewer"],
  operator: ["운영자", "operator"],
  ready: ["준비됨", "ready"],
  starting: ["시작 중", "starting"],
  draining: ["종료 중", "draining"],
  parting: ["예비로 전환 중", "parting to stand by"],
  standsby: ["예비 서비스", "stands by"],
  uptime: ["가동 {0}", "up {0}"],
  lost: ["라우터가 응답하지 않습니다: {0}. 다시 시도합니다.", "The router does not answer: {0}. Trying again."],
  frozen: ["아래 값은 {0} 기준입니다.", "What is below is of {0}."],
  received: ["수신 전문/초", "telegrams/s"],
  answered: ["응답/초", "answered/s"],
  failed: ["실패/초", "failed/s"],
  open: ["진행 중 거래", "open exchanges"],
  sessionsnow: ["세션", "sessions"],
  pending: ["대기", "pending"],
  unknown: ["결과 불명", "delivery unknown"],
  late: ["지연 응답", "late replies"],
  dropped: ["버려진 로그", "log lines lost"],
  chartrate: ["초당 전문 (최근 5분)", "Telegrams a second (last 5 minutes)"],
  chartlatency: ["응답 시간 (최근 5분)", "Time to answer (last 5 minutes)"],
  chartresults: ["결과 (최근 5분)", "Results (last 5 minutes)"],
  linereceived: ["수신", "received"],
  lineanswered: ["응답", "answered"],
  linefailed: ["실패", "failed"],
  half: ["절반 이내", "half within"],
  most: ["99 % 이내", "99 % within"],
  nothing: ["아직 없음", "nothing yet"],
  halted: ["꺼진 전문", "Messages switched off"],
  differs: ["설정 파일과 다름", "differs from the file"],
  everywhere: ["전체", "everywhere"],
  topology: ["구성", "Topology"],
  filter: ["찾기", "Filter"],
  onlytrouble: ["문제 있는 것만", "Only what is in trouble"],
  unfold: ["모두 펼치기", "Unfold all"],
  fold: ["모두 접기", "Fold all"],
  listeners: ["리스너", "Listeners"],
  routes: ["경로", "Routes"],
  services: ["서비스와 백엔드", "Services and backends"],
  listener: ["리스너", "listener"],
  service: ["서비스", "service"],
  backend: ["백엔드", "backend"],
  state: ["상태", "state"],
  inuse: ["사용", "in use"],
  yes: ["예", "yes"],
  no: ["아니오", "no"],
  inflight: ["처리 중", "in flight"],
  weight: ["가중치", "weight"],
  linkcount: ["링크", "links"],
  priority: ["우선순위", "priority"],
  routecount: ["경로 {0}개", "{0} routes"],
  backendcount: ["백엔드 {0}개", "{0} backends"],
  backendsof: ["{0}의 백엔드", "Backends of {0}"],
  up: ["정상", "up"],
  unreachable: ["연결 안 됨", "unreachable"],
  down: ["장애", "down"],
  ejected: ["제외됨", "ejected"],
  drain: ["배출", "drain"],
  maint: ["점검", "maint"],
  standby: ["예비", "standby"],
  accepting: ["접수 중", "accepting"],
  closed: ["배출됨", "drained"],
  none: ["없음", "none"],
  more: ["{0}개 더 있음: 찾기로 좁히십시오", "and {0} more: narrow them with the filter"],
  act: ["조치…", "Actions…"],
  actfor: ["{0} 조치", "Actions for {0}"],
  exchanges: ["진행 중 거래 (오래된 순)", "Open exchanges, oldest first"],
  sessions: ["세션", "Sessions"],
  links: ["링크", "Links"],
  stage_handshake: ["TLS 협상 중", "shaking hands"],
  stage_open: ["열림", "open"],
  stage_finishing: ["마무리 중", "finishing"],
  stage_lingering: ["닫는 중", "closing"],
  age: ["경과", "age"],
  message: ["전문", "message"],
  telegram: ["식별 필드", "telegram"],
  from: ["보낸 쪽", "from"],
  to: ["받는 쪽", "to"],
  delivery: ["전달", "delivery"],
  name: ["이름", "name"],
  address: ["주소", "address"],
  certificate: ["인증서", "certificate"],
  count: ["전문 수", "telegrams"],
  unwritten: ["미전송 바이트", "unwritten bytes"],
  paused: ["읽기 중지", "paused"],
  recenterrors: ["최근 오류", "Recent errors"],
  time: ["시각 (UTC)", "time (UTC)"],
  code: ["코드", "code"],
  event: ["사건", "event"],
  meaning: ["의미", "meaning"],
  todo: ["조치 방법", "what to do"],
  fields: ["로그 필드", "fields of the log"],
  inspectthis: ["전문 붙여넣고 해석하기", "Paste and explain such a telegram"],
  not_sent: ["나가지 않음: 다시 보내도 됩니다", "not sent: it may be sent again"],
  sent_unknown: ["결과 불명: 조회로 확인하고 다시 보내지 마십시오", "unknown: ask for the result, never send it again"],
  start: ["시작", "Start"],
  stop: ["중지", "Stop"],
  clear: ["지우기", "Clear"],
  tailhint: [
    "조건을 모두 만족하는 전문만 보입니다. 예: message=transfer.*  code=E-BCK-05  service=transfer  bank_code=088. 명세에서 공개(clear)로 표시된 필드만 보입니다.",
    "Terms must all hold, such as message=transfer.*  code=E-BCK-05  service=transfer  bank_code=088. Only fields that the spec marks clear are shown.",
  ],
  watching: ["보는 중", "watching"],
  stopped: ["중지됨", "stopped"],
  skipped: ["{0}건 생략됨", "{0} dropped"],
  direction: ["방향", "direction"],
  peer: ["상대", "peer"],
  result: ["결과", "result"],
  took: ["소요", "took"],
  spec: ["명세", "Spec"],
  guess: ["추측하기", "guess it"],
  form: ["형식", "Form"],
  hex: ["16진수 또는 덤프", "Hex or a dump"],
  text: ["텍스트", "Text"],
  explain: ["해석", "Explain"],
  paste: ["전문 붙여넣기", "Paste a telegram"],
  inspecthint: [
    "붙여넣은 내용은 라우터의 별도 프로세스가 해석하여 이 화면에만 보이며, 어디에도 기록하지 않습니다.",
    "What is pasted is read by a process of the router's own and shown here only; it is written nowhere.",
  ],
  explaining: ["해석하는 중…", "Explaining…"],
  notknown: ["알 수 없는 전문입니다.", "This is no telegram that is known."],
  sound: ["이상 없음", "nothing is wrong with it"],
  problems: ["문제 {0}건", "{0} problems"],
  causes: ["짐작되는 원인", "What probably happened"],
  offset: ["위치", "offset"],
  length: ["길이", "length"],
  rule: ["규칙", "rule"],
  field: ["필드", "field"],
  value: ["값", "value"],
  bytes: ["바이트", "bytes"],
  cancel: ["취소", "Cancel"],
  close: ["닫기", "Close"],
  confirm: ["실행", "Carry out"],
  done: ["실행했습니다: {0}", "Done: {0}"],
  refused: ["거절됨: {0}", "Refused: {0}"],
  onlyoperators: ["운영자만 지시할 수 있습니다.", "Only operators may give orders."],
  orderbackend: ["백엔드 {0}", "Backend {0}"],
  orderlistener: ["리스너 {0}", "Listener {0}"],
  orderservice: ["서비스 {0}", "Service {0}"],
  toready: ["사용 (ready): 다시 요청을 보냅니다", "ready: requests go to it again"],
  todrain: ["배출 (drain): 새 요청을 보내지 않고, 보낸 것은 응답을 기다립니다", "drain: nothing new goes to it, what is in flight is answered"],
  tomaint: ["점검 (maint): drain과 같고 상태 점검도 하지 않습니다", "maint: as drain, and it is not probed"],
  lastone: ["이 서비스에서 쓸 수 있는 마지막 백엔드입니다. 요청은 보내지 않고 거절됩니다(not_sent).", "This is the last backend in use of its service: requests will be refused as not sent."],
  close_listener: ["배출: 새 세션을 받지 않고, 열린 세션은 60초에 걸쳐 내보냅니다", "drain: no new sessions, those that are open leave over 60 seconds"],
  open_listener: ["열기: 다시 세션을 받습니다", "open: sessions are accepted again"],
  switchmessage: ["전문 끄기/켜기", "Switch a message off or on"],
  messages: ["전문…", "Messages…"],
  off: ["끄기: 요청을 E-RTE-06으로 거절합니다", "off: its requests are refused with E-RTE-06"],
  on: ["켜기", "on"],
  switchon: ["켜기", "Switch on"],
  failback: ["최선 우선순위로 지금 되돌리기 (failback)", "failback: return to the best priority now"],
  order: ["지시", "order"],
  promote: ["사용으로 전환 (promote): 포트를 열고 링크를 맺습니다", "promote: take it into use; ports open, links are dialled"],
  demote: ["예비로 전환 (demote): 진행 중인 것을 마치고 링크를 닫습니다", "demote: stand by; what is open ends, then its links"],
  promoterouter: ["라우터를 사용으로 전환", "Take the router into use"],
  demoterouter: ["라우터를 예비로 전환", "Have the router stand by"],
  promotehint: ["포트를 열고 링크를 맺습니다. 다른 라우터가 예비인지 먼저 확인하십시오.", "Ports are opened and links dialled. See first that the other router stands by."],
  demotehint: [
    "모든 포트가 접속을 거절하고, 진행 중인 거래를 마친 뒤 세션과 링크를 닫습니다.",
    "All ports refuse, and sessions and links end once what they have open is answered.",
  ],
  demotewarning: ["이 서비스로 가는 요청은 다시 사용할 때까지 보내지 않고 거절됩니다(not_sent).", "Requests to this service are refused as not sent until it is in use again."],
  reload: ["설정 다시 읽기", "Reload the configuration"],
  reloadact: ["설정 다시 읽기…", "Reload…"],
  checking: ["설정 파일을 확인하는 중…", "Looking at the file…"],
  wouldchange: ["적용하면 이렇게 바뀝니다. 세션은 끊기지 않습니다.", "This is what applying it changes. No session is dropped."],
  nochange: ["파일이 지금 설정과 같습니다.", "The file says what the router does already."],
  notsound: ["문제가 있어 적용할 수 없습니다. 라우터는 지금 설정으로 계속 동작합니다.", "With these problems it is not applied. The router goes on as it is."],
  expected: ["기대: {0}", "expected {0}"],
  added: ["추가", "added"],
  removed: ["삭제", "removed"],
  changed: ["변경", "changed"],
  restart: ["다시 시작해야 적용됨", "takes effect at a restart only"],
  warnings: ["주의", "warnings"],
  apply: ["적용", "Apply"],
};

let language = "en";

export function languages() {
  try {
    language = localStorage.getItem("language") || "";
  } catch {
    language = "";
  }
  if (language !== "ko" && language !== "en") language = (navigator.language || "").toLowerCase().startsWith("ko") ? "ko" : "en";
  return language;
}

export function choose(other, keep) {
  language = other === "ko" ? "ko" : "en";
  if (!keep) return;
  try {
    localStorage.setItem("language", language);
  } catch {
    // it is chosen for this page only
  }
}

export const locale = () => language;

export function t(key, ...values) {
  const pair = Object.hasOwn(WORDS, key) ? WORDS[key] : [key, key];
  return (language === "ko" ? pair[0] : pair[1]).replace(/\{(\d)\}/g, (_, place) => String(values[Number(place)]));
}

// What a code means, and what is to be done, in the language of the page.
export const meaning = (code, title) => (language === "ko" && MEANINGS[code]?.[0]) || title;
export const advice = (code, todo) => (language === "ko" && MEANINGS[code]?.[1]) || todo;

// A word of the router itself, such as a state: translated where it is known, else as it is.
export const word = (text) => (Object.hasOwn(WORDS, text) ? t(text) : text);

export function translate() {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
}
