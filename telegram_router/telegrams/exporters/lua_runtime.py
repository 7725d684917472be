"""The part of a Wireshark dissector that is the same for every spec, as Lua. What it reads is written by lua.py."""

# Written for Lua 5.2 to 5.4. Offsets in the tables count from 0, as Wireshark does; Lua's own strings count from 1.
# Nothing here may raise an error for any bytes: what does not fit becomes expert information.

from typing import Final

RUNTIME: Final = r"""
local proto = Proto(SPEC.proto, SPEC.title)

local expert = {
  framing = ProtoExpert.new(SPEC.proto .. ".bad_framing", "framing does not fit", expert.group.MALFORMED, expert.severity.ERROR),
  unknown = ProtoExpert.new(SPEC.proto .. ".unknown_message", "no message has this key", expert.group.PROTOCOL, expert.severity.WARN),
  size = ProtoExpert.new(SPEC.proto .. ".bad_size", "size does not fit", expert.group.MALFORMED, expert.severity.ERROR),
  field = ProtoExpert.new(SPEC.proto .. ".bad_field", "field does not fit its rule", expert.group.PROTOCOL, expert.severity.WARN),
}
proto.experts = { expert.framing, expert.unknown, expert.size, expert.field }

local made = {
  string = ProtoField.string, bytes = ProtoField.bytes, int64 = ProtoField.int64, double = ProtoField.double,
}
local message_field = ProtoField.string(SPEC.proto .. ".message", "message")
local registered = { message_field }
for number, field in ipairs(FIELDS) do
  FIELDS[number] = made[field[3]](field[1], field[2])
  registered[#registered + 1] = FIELDS[number]
end
proto.fields = registered

-- Bytes to numbers and characters ------------------------------------------------------------------------------

local characters = {}

-- A code page: each byte's character, and for a leading byte the characters of its trailing bytes.
local function page_of(name)
  if characters[name] == nil and PAGES[name] ~= nil then
    local source, page = PAGES[name], { single = {}, rows = {}, shifts = PAGES[name].shifts }
    local function split(text, first)
      local found, at = {}, first
      for character in text:gmatch("[%z\1-\127\194-\244][\128-\191]*") do
        if character ~= "\239\191\189" then found[at] = character end
        at = at + 1
      end
      return found
    end
    page.single = split(source.single, 0)
    for lead, row in pairs(source.rows) do page.rows[lead] = split(row, source.first) end
    characters[name] = page
  end
  return characters[name]
end

-- The text of bytes in an encoding, and the place from 1 of the first byte that is no character of it.
local function text_of(raw, encoding)
  local page = page_of(encoding)
  if page == nil then
    if encoding == "utf-8" then return raw, nil end
    local at = raw:find("[\128-\255]")
    return (raw:gsub("[\128-\255]", "\239\191\189")), at
  end
  local found, at, bad, double = {}, 1, nil, false
  while at <= #raw do
    local byte = raw:byte(at)
    local row = page.rows[byte]
    if page.shifts and (byte == 0x0E or byte == 0x0F) then
      double = byte == 0x0E
      at = at + 1
    elseif row and (double or not page.shifts) then
      local character = at < #raw and row[raw:byte(at + 1)]
      if not character then bad = bad or at end
      found[#found + 1] = character or "\239\191\189"
      at = at + (character and 2 or 1)
    else
      local character = not double and page.single[byte]
      if not character then bad = bad or at end
      found[#found + 1] = character or "\239\191\189"
      at = at + 1
    end
  end
  if double then bad = bad or #raw end
  return table.concat(found), bad
end

-- Digits, signs and letters as ASCII, from whatever the field is written in.
local function plain(node, raw)
  return (text_of(raw, node.e or "ascii"))
end

local function is_blank(raw, node)
  local blank = node.e and 0x40 or 0x20
  for at = 1, #raw do
    if raw:byte(at) ~= blank then return false end
  end
  return true
end

local function stripped(text, left)
  if left then return (text:gsub("^ +", "")) end
  return (text:gsub(" +$", ""))
end

local function hex_of(raw)
  return (raw:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

-- Control characters would break the line that Wireshark shows.
local function printable(text)
  return (text:gsub("[%c]", function(c) return string.format("\\x%02x", c:byte()) end))
end

local function grouped(digits)
  local front, behind = digits:match("^(-?%d+)(.*)$")
  if front == nil then return digits end
  local sign, whole = front:match("^(-?)(%d+)$")
  local reversed = whole:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return sign .. reversed .. behind
end

-- A number of any length, as text: what Lua's own numbers cannot hold stays exact.
local function decimal(digits, scale, negative)
  if scale < 0 then digits = digits .. string.rep("0", -scale) end
  if scale > 0 then
    digits = string.rep("0", scale + 1 - #digits) .. digits
    digits = digits:sub(1, #digits - scale) .. "." .. digits:sub(#digits - scale + 1)
  end
  digits = digits:gsub("^0+(%d)", "%1")
  local zero = not digits:find("[1-9]")
  return ((negative and not zero) and "-" or "") .. digits
end

local function int64_of(text)
  local sign, digits = text:match("^(-?)(%d+)$")
  if digits == nil or #digits > 18 then return nil end
  local low = tonumber(digits:sub(-9))
  local high = tonumber(digits:sub(1, -10)) or 0
  local number = Int64(high) * Int64(1000000000) + Int64(low)
  if sign == "-" then number = Int64(0) - number end
  return number
end

-- What stands in a field: its text, what the text means, what is wrong with it -----------------------------------

local read = {}

function read.text(node, raw)
  local text, bad = text_of(raw, node.enc)
  if node.wide then text = text:gsub("\227\128\128+$", "") end
  text = stripped(text, node.right)
  if node.pad then text = text:gsub(node.right and "^" .. node.pad .. "+" or node.pad .. "+$", "") end
  if bad then return printable(text), nil, "byte " .. bad .. " of the field begins no character of " .. node.enc end
  if text == "" and node.required then return text, nil, "required field is blank" end
  return printable(text)
end

function read.code(node, raw)
  local text = stripped(plain(node, raw))
  if text == "" then return text, nil, node.required and "required field is blank" or nil end
  if text:find("[\128-\255%c]") then return printable(text), nil, "not a code of printable ASCII characters" end
  if node.digits and (#text ~= #raw or not text:find("^%d+$")) then return text, nil, "field is not all digits" end
  if node.names == nil then return text end
  local meaning = node.names[text]
  for _, range in ipairs(node.ranges) do
    if meaning == nil and #text == #range[1] and text >= range[1] and text <= range[2] then meaning = range[3] end
  end
  if meaning == nil then return text, nil, "not one of the declared codes" end
  return text, meaning ~= "" and meaning or nil
end

function read.digits(node, raw)
  if is_blank(raw, node) then return nil, "blank", node.filled and "field is blank" or nil end
  local text = plain(node, raw)
  if not text:find("^%d+$") then return nil, printable(text), "field is not all digits" end
  return decimal(text, node.scale, false)
end

function read.amount(node, raw)
  if is_blank(raw, node) then return nil, "blank", node.filled and "field is blank" or nil end
  local text = plain(node, raw)
  local sign, digits = text:sub(1, 1), text:sub(2)
  if node.trailing then sign, digits = text:sub(-1), text:sub(1, -2) end
  if not sign:find("^[-+ 0]$") then return nil, printable(text), "sign is none of + - blank 0" end
  if not digits:find("^%d+$") then return nil, printable(text), "field is not all digits beside its sign" end
  return decimal(digits, node.scale, sign == "-")
end

local function moment(text, form)
  local cut = form:find("h", 1, true) or #form + 1
  local days, year = form:sub(1, cut - 1), form:match("^[EY]*")
  local function pairs_of(part, mark)
    return (part:gsub("(..)", "%1" .. mark):gsub("%" .. mark .. "$", ""))
  end
  local parts = {}
  if days ~= "" then
    local front = text:sub(1, #year)
    parts[#parts + 1] = (front ~= "" and front .. "-" or "") .. pairs_of(text:sub(#year + 1, cut - 1), "-")
  end
  if cut <= #form then parts[#parts + 1] = pairs_of(text:sub(cut), ":") end
  return table.concat(parts, " ")
end

local days_of = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function exists(text, form)
  local function part(name)
    local found = form:find(name, 1, true)
    return found and tonumber(text:sub(found, found + #name - 1))
  end
  local month, day, hour, minute, second = part("MM"), part("DD"), part("hh"), part("mm"), part("ss")
  if month and (month < 1 or month > 12) then return false end
  if day then
    local most = month and days_of[month] or 31
    local year = part("YYYY") or 2000
    if month == 2 and year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) then most = 29 end
    if day < 1 or day > most then return false end
  end
  return (hour or 0) < 24 and (minute or 0) < 60 and (second or 0) < 60
end

function read.moment(node, raw)
  if is_blank(raw, node) then return "", "blank", node.filled and "field is blank" or nil end
  local text = plain(node, raw)
  if node.zeros and not text:find("[^0]") then return text, "none" end
  if not text:find("^%d+$") then return printable(text), nil, "field is not all digits" end
  if not exists(text, node.form) then return text, nil, "no such date or time" end
  return text, moment(text, node.form)
end

function read.constant(node, raw)
  local text = printable(plain(node, raw))
  if raw == node.value or (node.or_blank and is_blank(raw, node)) then return text end
  return text, nil, "constant bytes are not as declared"
end

function read.length(node, raw, total)
  local text = plain(node, raw)
  if not text:find("^%d+$") then return nil, printable(text), "field is not all digits" end
  local problem = tonumber(text) ~= total + node.adjust and "length contradicts the telegram's size" or nil
  return decimal(text, 0, false), nil, problem
end

function read.filler(node, raw)
  if is_blank(raw, node) then return nil, #raw .. " bytes, blank" end
  return nil, #raw .. " bytes, not blank: " .. hex_of(raw)
end

function read.bytes(node, raw)
  return hex_of(raw)
end

-- The tree -------------------------------------------------------------------------------------------------------

local function mark(item, kind, text)
  item:add_proto_expert_info(expert[kind], text)
end

-- Where the walk through one telegram stands. `at` counts from the telegram's first byte.
local function walk_of(tvb)
  return { tvb = tvb, raw = tvb:raw(), size = tvb:len(), at = 0, seen = {}, cut = false }
end

local function add_leaf(tree, walk, node)
  local width = node.w or math.max(walk.size - walk.at, 0)
  local there = math.min(width, math.max(walk.size - walk.at, 0))
  if there < width then
    if not walk.cut then
      walk.cut = true
      local from = math.min(walk.at, walk.size)
      mark(tree:add(walk.tvb(from, there), node.l), "size", node.p .. " needs " .. width .. " bytes, " .. there .. " left")
    end
    walk.at = walk.at + width
    return
  end
  local raw, range = walk.raw:sub(walk.at + 1, walk.at + width), nil
  if width > 0 then range = walk.tvb(walk.at, width) else range = walk.tvb(math.max(walk.at - 1, 0), 0) end
  local value, meaning, problem = (read[node.t] or read.bytes)(node, raw, walk.size)
  walk.seen[node.p] = value or ""
  walk.at = walk.at + width
  local field, item = node.f and FIELDS[node.f], nil
  if field == nil or value == nil then
    item = tree:add(range, node.l .. ": " .. (value or meaning or ""))
  elseif node.ft == "int64" and int64_of(value) ~= nil then
    item = tree:add(field, range, int64_of(value))
    meaning = grouped(value) ~= value and grouped(value) or nil
  elseif node.ft == "double" then
    item = tree:add(field, range, tonumber(value) or 0)
    item:set_text(node.l .. ": " .. value)
  elseif node.ft == "bytes" then
    item = tree:add(field, range)
  elseif node.ft == "string" then
    item = tree:add(field, range, value)
  else
    item = tree:add(range, node.l .. ": " .. value)
  end
  if meaning and value ~= nil then item:append_text(" (" .. meaning .. ")") end
  if problem then mark(item, "field", node.p .. ": " .. problem) end
end

local add_nodes

-- One of a table, a group or a choice of views.
local function add_structure(tree, walk, node)
end

function add_nodes(tree, walk, nodes)
  for _, node in ipairs(nodes) do
    if node.s then add_structure(tree, walk, node) else add_leaf(tree, walk, node) end
  end
end

-- A heading over fields, as long as they turn out to be.
local function add_heading(tree, walk, text, nodes)
  local from = walk.at
  if from >= walk.size then
    add_nodes(tree, walk, nodes)
    return
  end
  local branch = tree:add(walk.tvb(from, walk.size - from), text)
  add_nodes(branch, walk, nodes)
  branch:set_len(math.max(math.min(walk.at, walk.size) - from, 0))
end

-- Telegrams and frames ---------------------------------------------------------------------------------------------

local function key_of(raw)
  local parts = {}
  for _, place in ipairs(SPEC.key) do parts[#parts + 1] = raw:sub(place[1] + 1, place[1] + place[2]) end
  return hex_of(table.concat(parts))
end

local function poll_of(raw)
  for _, poll in ipairs(SPEC.polls) do
    if #raw == #poll.literal + poll.echo and raw:sub(1, #poll.literal) == poll.literal then return poll end
  end
  return nil
end

-- One packet may hold several telegrams: the Info column names them all.
local function tell(pinfo, text)
  if pinfo.private[SPEC.proto] then
    pinfo.cols.info:append(" | " .. text)
  else
    pinfo.cols.info:set(text)
  end
  pinfo.private[SPEC.proto] = "told"
end

local function dissect_telegram(tvb, pinfo, tree, root)
  local walk = walk_of(tvb)
  local poll = poll_of(walk.raw)
  if poll then
    tell(pinfo, poll.name)
    root:append_text(", " .. poll.name)
    root:add(message_field, poll.name):set_generated()
    root:add(tvb(), poll.name .. ": " .. printable((text_of(walk.raw, "ascii"))))
    return
  end
  local message = MESSAGES[key_of(walk.raw)]
  local name = message and message.name or "no message of this key"
  local title = message and message.title ~= "" and " " .. message.title or ""
  tell(pinfo, name .. title)
  root:append_text(", " .. name .. title .. ", " .. walk.size .. " bytes")
  root:add(message_field, name):set_generated()
  if not message then mark(root, "unknown", "no message of the spec has this key") end
  if #SPEC.header > 0 then add_heading(root, walk, SPEC.words.header, SPEC.header) end
  if message and #message.body > 0 then add_heading(root, walk, SPEC.words.body, message.body) end
  if walk.at < walk.size then
    local left = walk.size - walk.at
    local item = root:add(tvb(walk.at, left), left .. (message and " bytes beyond the layout" or " bytes of a body that is not known"))
    if message then mark(item, "size", left .. " bytes beyond the layout of " .. name) end
  end
end

-- The number that a length field holds, nil when it is none.
local function number_of(raw, kind)
  if kind == "ebcdic" then raw = raw:gsub(".", function(c) return string.char((c:byte() - 0xC0) % 256) end) end
  if kind == "bcd" then raw = hex_of(raw) end
  if kind == "u_be" or kind == "u_le" then
    local bytes = kind == "u_le" and raw:reverse() or raw
    local number = 0
    for at = 1, #bytes do number = number * 256 + bytes:byte(at) end
    return number
  end
  if kind == "hex" then return raw:find("^%x+$") and tonumber(raw, 16) or nil end
  return raw:find("^%d+$") and tonumber(raw, 10) or nil
end

-- The frame's size by its length field, or nil and why it cannot be trusted.
local function framed_size(raw)
  local framing = SPEC.framing
  if raw:sub(framing.offset - #framing.before + 1, framing.offset) ~= framing.before
    or raw:sub(framing.offset + framing.width + 1, framing.head) ~= framing.after then
    return nil, "constant bytes around the length field are not as declared"
  end
  local number = number_of(raw:sub(framing.offset + 1, framing.offset + framing.width), framing.number)
  if number == nil then return nil, "length field is not a number" end
  local size = number + framing.uncounted
  if size < framing.least then return nil, "length is below the smallest frame" end
  if size > framing.most then return nil, "length is above the maximum of " .. framing.most .. " bytes" end
  return size
end

local function new_root(tvb, tree)
  return tree:add(proto, tvb(), SPEC.title)
end

local function dissect_lost(tvb, pinfo, tree, why)
  pinfo.cols.protocol = SPEC.column
  tell(pinfo, "framing lost")
  local root = new_root(tvb, tree)
  mark(root, "framing", why)
  return tvb:len()
end

local function dissect_frame(tvb, pinfo, tree)
  local framing, raw = SPEC.framing, tvb:raw()
  pinfo.cols.protocol = SPEC.column
  local why, size
  if framing.kind == "length" then
    size, why = framed_size(raw)
    if why == nil and framing.finish ~= "" and raw:sub(-#framing.finish) ~= framing.finish then why = "end mark is missing" end
  end
  if why then return dissect_lost(tvb, pinfo, tree, why) end
  local root = new_root(tvb, tree)
  if framing.prefix > 0 then
    local text = framing.kind == "length" and "length field: " .. size - framing.prefix - framing.suffix .. " bytes follow, " or "start mark, "
    root:add(tvb(0, framing.prefix), SPEC.words.framing .. ": " .. text .. framing.text)
  end
  local inside = #raw - framing.prefix - framing.suffix
  if inside > 0 then dissect_telegram(tvb(framing.prefix, inside):tvb(), pinfo, tree, root) end
  if framing.suffix > 0 then root:add(tvb(#raw - framing.suffix, framing.suffix), SPEC.words.framing .. ": end mark") end
  return tvb:len()
end

-- How many bytes the frame at `offset` has. Where no number can be trusted, all that is there: it is shown as lost.
local function frame_length(tvb, pinfo, offset)
  local left = tvb:len() - offset
  if SPEC.framing.kind == "fixed" then return SPEC.framing.size end
  return (framed_size(tvb:raw(offset, math.min(left, SPEC.framing.head)))) or left
end

local function dissect_marked(tvb, pinfo, tree)
  local framing, raw, at = SPEC.framing, tvb:raw(), 0
  while at < #raw do
    local here = raw:sub(at + 1, at + #framing.start)
    if here ~= framing.start:sub(1, #here) then
      return dissect_lost(tvb(at):tvb(), pinfo, tree, "start mark is missing where a frame must begin")
    end
    local _, last = raw:find(framing.finish, at + #framing.start + 1, true)
    if last == nil then
      if #raw - at > framing.most then
        return dissect_lost(tvb(at):tvb(), pinfo, tree, "no end mark within " .. framing.most .. " bytes")
      end
      pinfo.desegment_offset = at
      pinfo.desegment_len = DESEGMENT_ONE_MORE_SEGMENT
      return #raw
    end
    dissect_frame(tvb(at, last - at):tvb(), pinfo, tree)
    at = last
  end
  return #raw
end

function proto.dissector(tvb, pinfo, tree)
  if tvb:len() == 0 then return 0 end
  if SPEC.framing.kind == "marked" then return dissect_marked(tvb, pinfo, tree) end
  local head = SPEC.framing.kind == "fixed" and SPEC.framing.size or SPEC.framing.head
  dissect_tcp_pdus(tvb, tree, head, frame_length, dissect_frame)
  return tvb:len()
end

-- Ports ------------------------------------------------------------------------------------------------------------

proto.prefs.ports = Pref.range("TCP ports", "", "Ports on which these telegrams are spoken, e.g. 9001,9100-9110", 65535)

local taken = ""

function proto.prefs_changed()
  local ports = DissectorTable.get("tcp.port")
  if taken ~= "" then ports:remove(taken, proto) end
  taken = tostring(proto.prefs.ports)
  if taken ~= "" then ports:add(taken, proto) end
end

DissectorTable.get("tcp.port"):add_for_decode_as(proto)
"""
