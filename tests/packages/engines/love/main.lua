-- The example in LÖVE without a screen, with a microphone that hears speech.raw; and mimi.lua's streams.
-- HASH in the environment is the one of the recording's codes.
local ffi = require "ffi"
local mimi = require "mimi"

local BOOKS, FRAME, DONE = 8, 1920, 6
local recording = love.filesystem.read("speech.raw") -- 16 bits
local length, heard, down = #recording / 2, 0, false
local started, loud = nil, 0

local function run(name, test)
    local ok, message = xpcall(test, debug.traceback)
    print((ok and "    " or "FAILED ") .. name .. ": " .. tostring(message))
    if not ok then os.exit(1) end
end

local function hash(stream) return bit.tohex(stream:get("codes_hash")) end

-- 24000 samples a second, as the clock says
local microphone = {
    start = function() started = love.timer.getTime() return true end,
    stop = function() end,
    getData = function()
        local n = math.min(length, math.floor((love.timer.getTime() - started) * 24000)) - heard
        if n < 1 then return nil end
        local data = love.sound.newSoundData(n, 24000, 16, 1)
        ffi.copy(data:getFFIPointer(), recording:sub(heard * 2 + 1, (heard + n) * 2), n * 2)
        heard = heard + n
        return data
    end,
}

local function streams(model, block)
    local encoder, decoder = model:encoder(), model:decoder { codebooks = BOOKS }
    local pcm = ffi.cast("const int16_t *", recording)
    local samples, codes, audio = mimi.floats(block), mimi.codes(BOOKS), mimi.floats(FRAME)
    local frames = 0
    local function decode(status, n)
        assert(status == 0, mimi.status(status))
        frames = frames + n / BOOKS
        local decoded, written = decoder:process(codes, n, audio, FRAME)
        assert(decoded == 0 and written == n / BOOKS * FRAME)
    end
    collectgarbage() collectgarbage("stop")
    local garbage = collectgarbage("count")
    for at = 0, length - 1, block do
        local n = math.min(block, length - at)
        for i = 0, n - 1 do samples[i] = pcm[at + i] / 32768 end
        decode(encoder:process(samples, n, codes, BOOKS))
    end
    decode(encoder:flush(codes, BOOKS))
    garbage = collectgarbage("count") - garbage
    collectgarbage("restart")
    assert(garbage < 32, "garbage") -- what LuaJIT compiles is in it
    assert(hash(encoder) == os.getenv("HASH") and hash(decoder) == os.getenv("HASH"), hash(encoder))
    return ("%d frames, codes hash %s, %d KiB of garbage"):format(frames, hash(encoder), garbage)
end

local bytes = love.filesystem.read("model.safetensors")
local model = mimi.load_memory(bytes)
run("version", mimi.version)
run("streams, blocks of 64", function() return streams(model, 64) end)
run("streams, blocks of 1024", function() return streams(model, 1024) end)
run("errors", function()
    local ok, message = pcall(mimi.load, "/not/there")
    assert(not ok and message:find("/not/there", 1, true), message)
    local long, other = pcall(mimi.load_memory, "abc")
    assert(not long and other:find("3 bytes", 1, true), other)
    assert(not pcall(model.capture, model, { codebooks = 9 }))
    return message
end)

love.audio.getRecordingDevices = function() return { microphone } end
love.keyboard.isDown = function() return down end
local queue = love.audio.newQueueableSource
love.audio.newQueueableSource = function(...)
    local source = queue(...)
    local getters = getmetatable(source).__index
    return setmetatable({ queue = function(_, data)
        local pcm = ffi.cast("int16_t *", data:getFFIPointer())
        for i = 0, data:getSampleCount() - 1 do loud = loud + (pcm[i] / 32768) ^ 2 end
        return source:queue(data)
    end }, { __index = function(_, name) return function(_, ...) return getters[name](source, ...) end end })
end

-- the handles that the example opens
local capture, playback
mimi.load_memory = function()
    return {
        get = function(_, name) return model:get(name) end,
        capture = function(_, options) capture = model:capture(options) return capture end,
        playback = function(_, options) playback = model:playback(options) return playback end,
    }
end

love.filesystem.load("example.lua")()
local load, update, start = love.load, love.update, nil
love.draw = nil

function love.load() run("love.load", function() load() start = love.timer.getTime() end) end

function love.update()
    down = heard < length -- the space bar is let go when all was said
    local ok, message = xpcall(update, debug.traceback)
    if not ok then print("FAILED " .. message) os.exit(1) end
    if love.timer.getTime() - start < DONE then return end
    local said = 0
    local pcm = ffi.cast("const int16_t *", recording)
    for i = 0, length - 1 do said = said + (pcm[i] / 32768) ^ 2 end
    run("push to talk", function()
        local level = math.sqrt(loud / said)
        assert(hash(capture) == os.getenv("HASH"), hash(capture))
        assert(playback:get("frames") == 42 and playback:get("dropped") == 0, playback:get("frames"))
        assert(level > 0.5 and level < 1.2, level)
        return ("codes hash %s, %d frames played, %d late, level %.2f"):format(hash(capture), playback:get("frames"),
            playback:get("late"), level)
    end)
    love.event.quit()
end
