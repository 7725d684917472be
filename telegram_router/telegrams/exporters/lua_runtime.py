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

-- UTF-16 of two bytes for each character; halves of pairs are none.
local function text_of_utf16(raw, little)
  local found, bad = {}, nil
  for at = 1, #raw, 2 do
    local high, low = raw:byte(at, at + 1)
    if little then high, low = low, high end
    local code = high and low and high * 256 + low
    if not code or (code >= 0xD800 and code < 0xE000) then
      bad = bad or at
      found[#found + 1] = "\239\191\189"
    elseif code < 0x80 then
      found[#found + 1] = string.char(code)
    elseif code < 0x800 then
      found[#found + 1] = string.char(192 + math.floor(code / 64), 128 + code % 64)
    else
      found[#found + 1] = string.char(224 + math.floor(code / 4096), 128 + math.floor(code / 64) % 64, 128 + code % 64)
    end
  end
  return table.concat(found), bad
end

-- The text of bytes in an encoding, and the place from 1 of the first byte that is no character of it.
local function text_of(raw, encoding, double)
  if encoding:find("^utf%-16") then return text_of_utf16(raw, encoding == "utf-16-le") end
  local page = page_of(encoding)
  if page == nil then
    if encoding == "utf-8" then return raw, nil end
    local at = raw:find("[\128-\255]")
    return (raw:gsub("[\128-\255]", "\239\191\189")), at
  end
  local found, at, bad, closed = {}, 1, nil, true
  while at <= #raw do
    local byte = raw:byte(at)
    local row = page.rows[byte]
    if page.shifts and (byte == 0x0E or byte == 0x0F) then
      double = byte == 0x0E
      closed = not double
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
  return table.concat(found), bad, closed
end

-- Digits, signs and letters as ASCII, from whatever the field is written in.
local function plain(node, raw)
  return (text_of(raw, node.e or "ascii"))
end

local function is_all(raw, byte)
  for at = 1, #raw do
    if raw:byte(at) ~= byte then return false end
  end
  return true
end

local function is_blank(raw, node)
  return is_all(raw, node.e and 0x40 or 0x20)
end

-- Whether a field holds nothing, and what is to be shown then.
local function absent(raw, node)
  if is_blank(raw, node) then return "blank", node.filled and "field is blank" or nil end
  if node.low and is_all(raw, 0) then return "low values" end
  return nil
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
  local content = raw
  if node.low and not node.enc:find("^utf%-16") then content = content:gsub("%z+$", "") end
  if node.pad then
    local from, to = 1, #content
    if node.right then
      while from <= to and content:sub(from, from) == node.pad do from = from + 1 end
    else
      while from <= to and content:sub(to, to) == node.pad do to = to - 1 end
    end
    content = content:sub(from, to)
  end
  local text, bad, closed = text_of(content, node.enc, node.double)
  if not node.pad then text = stripped(text, node.right) end
  while node.wide or node.double do
    local before = text
    text = stripped(text:gsub(node.right and "^\227\128\128" or "\227\128\128$", ""), node.right)
    if node.low then text = text:gsub("%z+$", "") end
    if text == before then break end
  end
  local problem = nil
  if bad then
    problem = "byte " .. bad .. " of the field begins no character of " .. node.enc
  elseif text == "" and node.required then
    problem = "required field is blank"
  elseif text:find("%c") then
    problem = "control character in the field"
  end
  return printable(text), closed == false and "run of double-byte characters is not closed" or nil, problem
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

local function limited(node, value)
  local number = tonumber(value)
  if node.most and number > node.most then return value, nil, "number is above the largest that the spec allows" end
  if node.least and number < node.least then return value, nil, "number is below the smallest that the spec allows" end
  return value
end

function read.digits(node, raw)
  local empty, problem = absent(raw, node)
  if empty then return nil, empty, problem end
  local text = plain(node, raw)
  if not text:find("^%d+$") then return nil, printable(text), "field is not all digits" end
  return limited(node, decimal(text, node.scale, false))
end

function read.amount(node, raw)
  local empty, problem = absent(raw, node)
  if empty then return nil, empty, problem end
  local text = plain(node, raw)
  local sign, digits = text:sub(1, 1), text:sub(2)
  if node.trailing then sign, digits = text:sub(-1), text:sub(1, -2) end
  if not sign:find("^[-+ 0]$") then return nil, printable(text), "sign is none of + - blank 0" end
  if not digits:find("^%d+$") then return nil, printable(text), "field is not all digits beside its sign" end
  return limited(node, decimal(digits, node.scale, sign == "-"))
end

-- The digit of a byte that carries a sign, and whether the number is negative.
local overpunched = {}

function overpunched.ebcdic(byte)
  local zone, digit = math.floor(byte / 16), byte % 16
  if digit > 9 or zone < 10 then return nil end
  return digit, zone == 13 or zone == 11
end

function overpunched.ascii(byte)
  if byte >= 0x30 and byte <= 0x39 then return byte - 0x30, false end
  if byte >= 0x70 and byte <= 0x79 then return byte - 0x70, true end
  return nil
end

overpunched["ascii-ebcdic-letters"] = function(byte)
  if byte >= 0x30 and byte <= 0x39 then return byte - 0x30, false end
  local place = ("{ABCDEFGHI}JKLMNOPQR"):find(string.char(byte), 1, true)
  if place == nil then return nil end
  return (place - 1) % 10, place > 10
end

function read.zoned(node, raw)
  local empty, problem = absent(raw, node)
  if empty then return nil, empty, problem end
  local text = plain(node, raw)
  if node.separate then
    local sign, digits = text:sub(1, 1), text:sub(2)
    if not node.leading then sign, digits = text:sub(-1), text:sub(1, -2) end
    if sign ~= "+" and sign ~= "-" then return nil, printable(text), "sign is neither + nor -" end
    if not digits:find("^%d+$") then return nil, printable(text), "field is not all digits beside its sign" end
    return limited(node, decimal(digits, node.scale, sign == "-"))
  end
  local at = node.leading and 1 or #raw
  local digit, negative = overpunched[node.marks](raw:byte(at))
  if digit == nil then return nil, hex_of(raw), "byte " .. at .. " of the field is no digit with a sign in it" end
  local front = plain(node, raw:sub(1, at - 1))
  local digits = front .. digit .. plain(node, raw:sub(at + 1))
  if not digits:find("^%d+$") then return nil, hex_of(raw), "field is not all digits" end
  return limited(node, decimal(digits, node.scale, negative))
end

function read.packed(node, raw)
  if node.low and is_all(raw, 0) then return nil, "low values" end
  if node.blank and (is_all(raw, 0x40) or is_all(raw, 0x20)) then return nil, "blank" end
  local halves = hex_of(raw)
  local digits, sign = halves, "f"
  if not node.unsigned then digits, sign = halves:sub(1, -2), halves:sub(-1) end
  if not digits:find("^%d+$") then return nil, halves, "a half byte is not a digit" end
  if not sign:find("^[a-f]$") then return nil, halves, "last half byte is not a sign" end
  local negative = sign == "b" or sign == "d"
  if negative and not node.signed then return nil, halves, "number without sign is negative" end
  return limited(node, decimal(digits:sub(-node.digits), node.scale, negative))
end

-- Bytes as decimal digits, most significant byte first: Lua's numbers are exact to 53 bits only.
local function digits_of(raw)
  local parts = { 0 }
  for at = 1, #raw do
    local carry = raw:byte(at)
    for place = 1, #parts do
      local number = parts[place] * 256 + carry
      parts[place] = number % 10000000
      carry = math.floor(number / 10000000)
    end
    if carry > 0 then parts[#parts + 1] = carry end
  end
  local text = string.format("%d", parts[#parts])
  for place = #parts - 1, 1, -1 do text = text .. string.format("%07d", parts[place]) end
  return text
end

-- The amount of a negative number in two's complement.
local function negated(raw)
  local out, carry = {}, 1
  for at = #raw, 1, -1 do
    local byte = 255 - raw:byte(at) + carry
    carry = byte > 255 and 1 or 0
    out[at] = string.char(byte % 256)
  end
  return table.concat(out)
end

function read.binary(node, raw)
  local bytes = node.little and raw:reverse() or raw
  local negative = node.signed and bytes:byte(1) >= 128
  local digits = digits_of(negative and negated(bytes) or bytes)
  if negative and digits == "0" then digits = digits_of("\1" .. string.rep("\0", #bytes)) end
  if node.digits and #digits > node.digits then
    return nil, decimal(digits, node.scale, negative), "number has more than " .. node.digits .. " digits"
  end
  return limited(node, decimal(digits, node.scale, negative))
end

-- The shortest decimal that means these bits, as far as Lua's numbers can tell.
local function shortest(number, single)
  for precision = 1, 17 do
    local text = string.format("%." .. precision .. "g", number)
    local back = tonumber(text)
    if back == number or (single and Struct.pack(">f", back) == Struct.pack(">f", number)) then return text end
  end
  return tostring(number)
end

function read.float(node, raw)
  local bytes = node.little and raw:reverse() or raw
  local number
  if node.form == "ibm" then
    number = 0
    for at = 2, #bytes do number = number * 256 + bytes:byte(at) end
    number = number * 16 ^ (bytes:byte(1) % 128 - 64 - 2 * (#bytes - 1))
    if bytes:byte(1) >= 128 then number = -number end
  else
    number = Struct.unpack(#bytes == 4 and ">f" or ">d", bytes)
  end
  if number ~= number or number == math.huge or number == -math.huge then
    return nil, hex_of(raw), "number is infinite or no number (NaN)"
  end
  return number == 0 and "0" or shortest(number, #bytes == 4)
end

function read.edited(node, raw)
  local text = plain(node, raw)
  if node.filled and is_blank(raw, node) then return text, nil, "field is blank" end
  return printable(text)
end

function read.flags(node, raw)
  local set = {}
  for _, bit in ipairs(node.bits) do
    if math.floor(raw:byte(bit[2]) / bit[3]) % 2 == 1 then set[#set + 1] = bit[1] end
  end
  return #set > 0 and table.concat(set, ", ") or "none"
end

-- Where each part of a form stands: { name, first, last }.
local function parts_of(form)
  local parts, at = {}, 1
  while at <= #form do
    local name = form:sub(at, at)
    if name:find("%a") and name ~= "T" then name = form:match("^" .. name .. "+", at) end
    parts[#parts + 1] = { name, at, at + #name - 1 }
    at = at + #name
  end
  return parts
end

local marks_between = { YYYY = "-", YY = "-", MM = "-", DD = "-", DDD = "-", hh = ":", mm = ":", ss = ":", f = "." }

-- 20240315101112 as 2024-03-15 10:11:12.
local function moment(text, form)
  local shown, before = "", nil
  for _, part in ipairs(parts_of(form)) do
    local name = part[1]
    local mark = marks_between[name] or (name:find("^f") and "." or nil)
    if before and mark then
      local both_days = marks_between[before] == "-" and mark == "-"
      shown = shown .. (both_days and "-" or marks_between[before] == "-" and " " or mark)
    end
    shown = shown .. text:sub(part[2], part[3])
    before = mark and name or nil
  end
  return shown ~= text and shown or nil
end

local days_of = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

-- Whether the text is written in the form, and whether there is such a day and time.
local function exists(text, form)
  local found = {}
  for _, part in ipairs(parts_of(form)) do
    local name, piece = part[1], text:sub(part[2], part[3])
    if marks_between[name] or name:find("^f") then
      if not piece:find("^%d+$") then return nil end
      found[name] = tonumber(piece)
    elseif name ~= "E" and piece ~= name then
      return nil
    elseif name == "E" and not piece:find("^[1-5MTSHR]$") then
      return nil
    end
  end
  -- Of a year of two digits or of an era the century is not certain: 29 February is let be.
  local year = found.YYYY or 2000
  if found.YYYY == 0 then return false end
  if found.MM and (found.MM < 1 or found.MM > 12) then return false end
  if found.DD then
    local most = found.MM and days_of[found.MM] or 31
    if found.MM == 2 and leap(year) then most = 29 end
    if found.DD < 1 or found.DD > most then return false end
  end
  if found.DDD and (found.DDD < 1 or found.DDD > (leap(year) and 366 or 365)) then return false end
  return (found.hh or 0) < 24 and (found.mm or 0) < 60 and (found.ss or 0) < 60
end

function read.moment(node, raw)
  local empty, problem = absent(raw, node)
  if empty then return "", empty, problem end
  local text = plain(node, raw)
  if node.zeros == text then return text, "none" end
  local there = exists(text, node.form)
  if there == nil then return printable(text), nil, "not written as " .. node.form end
  if not there then return text, nil, "no such date or time" end
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
  return { tvb = tvb, raw = tvb:raw(), size = tvb:len(), at = 0, seen = {}, cut = false, lost = false }
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

-- A heading over what `add` puts under it, as long as that turns out to be.
local function add_heading(tree, walk, text, add)
  local from = walk.at
  if from >= walk.size then
    add(tree)
    return
  end
  local branch = tree:add(walk.tvb(from, walk.size - from), text)
  add(branch)
  branch:set_len(math.max(math.min(walk.at, walk.size) - from, 0))
end

-- Bytes that nobody can say the meaning of.
local function add_unknown(tree, walk, width, text)
  local there = math.max(math.min(width, walk.size - walk.at), 0)
  if there > 0 then tree:add(walk.tvb(walk.at, there), text) end
  walk.at = walk.at + width
end

local structure = {}

function structure.group(tree, walk, node)
  add_heading(tree, walk, node.l, function(branch) add_nodes(branch, walk, node.nodes) end)
end

-- How many items a table has; nil when its counter does not say.
local function counted(tree, walk, node)
  if node.counter == nil then return node.most end
  local said = walk.seen[node.counter]
  local count = tonumber(said or "")
  if count and count >= node.least and count <= node.most then return count end
  mark(tree, "field", node.p .. ": the count is " .. (said == nil and "missing" or "'" .. said .. "'")
    .. ", expected " .. node.least .. " to " .. node.most)
  return nil
end

function structure.table(tree, walk, node)
  local count, from = counted(tree, walk, node), walk.at
  if count == nil and node.shift then
    walk.lost = true
    return
  end
  add_heading(tree, walk, node.l .. ": " .. (count or "?") .. " of " .. node.most, function(branch)
    for index = 0, (count or 0) - 1 do
      if walk.lost or walk.cut then break end
      local item = node.item
      if item.s == "group" then
        add_heading(branch, walk, node.l .. " [" .. index .. "]", function(below) add_nodes(below, walk, item.nodes) end)
      else
        add_nodes(branch, walk, { item })
      end
    end
    if not node.shift then
      local left = from + node.most * node.stride - walk.at
      if left > 0 and not walk.lost then add_unknown(branch, walk, left, left .. " bytes of unused places") end
    end
  end)
end

-- The view that a value chooses: by the table of values, or the latest version that holds on a day.
local function chosen(walk, node)
  if node.by == nil then return node.default end
  local value = walk.seen[node.by]
  if node.ahead then
    local at = walk.at + node.ahead
    value = read[node.chooser.t](node.chooser, walk.raw:sub(at + 1, at + node.chooser.w), walk.size)
  end
  if not node.dated then return node.when[value or ""] or node.default end
  local best = nil
  if value == nil or value == "" then return nil end
  for first in pairs(node.views) do
    if first <= value:sub(1, 8) and (best == nil or first > best) then best = first end
  end
  return best
end

function structure.views(tree, walk, node)
  local name, from = chosen(walk, node), walk.at
  local view = name and node.views[name]
  if view == nil then
    mark(tree, "field", node.p .. ": no view is for what " .. node.by .. " holds")
    add_unknown(tree, walk, node.w, node.w .. " bytes of an unknown view")
    return
  end
  if node.dated and view.node.s == "group" then
    add_nodes(tree, walk, view.node.nodes)
  else
    add_nodes(tree, walk, { view.node })
  end
  if view.rest then add_nodes(tree, walk, { view.rest }) end
  if walk.at < from + node.w and not walk.lost then walk.at = from + node.w end
end

function add_nodes(tree, walk, nodes)
  for _, node in ipairs(nodes) do
    if walk.lost then return end
    if node.s then structure[node.s](tree, walk, node) else add_leaf(tree, walk, node) end
  end
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
  local function under(text, nodes)
    if #nodes > 0 then add_heading(root, walk, text, function(branch) add_nodes(branch, walk, nodes) end) end
  end
  under(SPEC.words.header, SPEC.header)
  if message then under(SPEC.words.body, message.body) end
  if walk.at < walk.size then
    local left = walk.size - walk.at
    local what = walk.lost and " bytes whose places are not known"
      or message and " bytes beyond the layout" or " bytes of a body that is not known"
    local item = root:add(tvb(walk.at, left), left .. what)
    if message and not walk.lost then mark(item, "size", left .. " bytes beyond the layout of " .. name) end
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
