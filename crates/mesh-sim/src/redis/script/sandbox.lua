-- What a script finds. Given: `host`, whose `call` is set anew for each run; and functions that Lua has not.
local host, sha1hex, random, seed = ...

local redis = {
    LOG_DEBUG = 0,
    LOG_VERBOSE = 1,
    LOG_NOTICE = 2,
    LOG_WARNING = 3,
    REPL_NONE = 0,
    REPL_AOF = 1,
    REPL_SLAVE = 2,
    REPL_REPLICA = 2,
    REPL_ALL = 3,
    sha1hex = sha1hex,
}

function redis.call(...)
    local reply = host.call(...)
    if type(reply) == "table" and reply.err ~= nil then
        error(reply)
    end
    return reply
end

function redis.pcall(...)
    return host.call(...)
end

function redis.status_reply(...)
    if select("#", ...) ~= 1 or type(...) ~= "string" then
        return { err = "ERR wrong number or type of arguments" }
    end
    return { ok = (...) }
end

-- "-CODE text" is an error as it goes over the wire; to anything else a code is put in front.
function redis.error_reply(...)
    if select("#", ...) ~= 1 or type(...) ~= "string" then
        return { err = "ERR wrong number or type of arguments" }
    end
    local text = (...)
    if text:sub(1, 1) ~= "-" then
        text = "-" .. text
    end
    text = text:gsub("[\r\n]+$", "")
    if text:find(" ", 1, true) then
        return { err = text:sub(2) }
    end
    return { err = "ERR " .. text:sub(2) }
end

function redis.log() end

function redis.replicate_commands()
    return true
end

function redis.set_repl() end

function redis.setresp(version)
    if version ~= 2 then
        error("only redis.setresp(2) is simulated")
    end
end

-- As in Redis: numbers in a row that each run repeats.
function math.random(low, high)
    local r = random()
    if low == nil then
        return r
    end
    if high == nil then
        low, high = 1, low
    end
    if low > high then
        error("bad argument to 'random' (interval is empty)", 2)
    end
    return math.floor(r * (high - low + 1)) + low
end

function math.randomseed(number)
    seed(number)
end

local function readonly()
    error("Attempt to modify a readonly table", 2)
end

-- What is behind it can be read and not changed.
local is_guarded = {}
local function guarded(table)
    local guard = setmetatable({}, { __index = table, __newindex = readonly, __metatable = false })
    is_guarded[guard] = true
    return guard
end

-- An error of `redis.call` is a table where nobody catches it, and its text where somebody does.
local function caught(ok, ...)
    if ok then
        return true, ...
    end
    local failure = ...
    if type(failure) == "table" and type(failure.err) == "string" then
        return false, failure.err
    end
    return false, ...
end

local globals = {
    redis = guarded(redis),
    pcall = function(...)
        return caught(pcall(...))
    end,
    rawset = function(table, key, value)
        if type(table) == "table" and is_guarded[table] then
            readonly()
        end
        return rawset(table, key, value)
    end,
}
local functions = {
    "assert", "error", "getmetatable", "ipairs", "next", "pairs", "rawequal", "rawget", "select",
    "setmetatable", "tonumber", "tostring", "type", "unpack", "xpcall", "_VERSION",
}
for _, name in ipairs(functions) do
    globals[name] = _G[name]
end
for _, name in ipairs({ "coroutine", "math", "string", "table" }) do
    globals[name] = guarded(_G[name])
end
local strings = getmetatable("")
strings.__index = globals.string
strings.__metatable = guarded({ __index = globals.string })
setmetatable(globals, {
    __index = function(_, name)
        error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
    end,
})

-- Scripts see the globals through this, and so change none.
local environment = guarded(globals)
globals._G = environment

local function told(failure)
    if type(failure) ~= "table" then
        return { err = "ERR " .. tostring(failure) }
    end
    return failure
end

local function run(script)
    return xpcall(script, told)
end

return globals, environment, run
